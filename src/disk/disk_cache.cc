#include "disk/disk_cache.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/background_thread.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

namespace slipstream {
namespace {

// After a write that failed so many are dropped untried: a disk that is full stays so for a while, and each try costs
// what a write costs.
constexpr uint32_t kDroppedAfterFault = 64;
// A wait ends after this long in any case: whoever waits has other things to look after.
constexpr std::chrono::milliseconds kLongestWait{20};
constexpr size_t kMinSlots = 2;
constexpr size_t kMaxSlots = 256;  // of tiny blocks
// Files whose time is still to be set. When there are more, the folder keeps an older time for some.
constexpr size_t kMaxTouches = 1024;

using Lock = std::unique_lock<std::mutex>;

}  // namespace

struct DiskCache::State {
  State(const DiskCacheOptions& its_options, CacheFolder its_folder, Arena arena)
      : options(its_options), folder(std::move(its_folder)), memory(std::move(arena)) {}

  // The memory of one file, on its way out or in.
  struct Slot {
    std::span<std::byte> image;
    ChainKey key;
    BlockName name;                 // of a read: what is expected; its tokens are in `tokens`
    std::vector<TokenId> tokens;    // [block_tokens]
    int64_t used_ns = 0;
    uint64_t generation = 0;
    std::optional<BlockContent> content;  // of a read, when it is done
  };
  struct Entry {
    std::optional<ChainKey> key;    // null: of another model
    uint64_t num_bytes = 0;
    std::string file;               // of another model; ours follows from the key
  };
  using Entries = std::multimap<int64_t, Entry>;  // by when they were last of use
  struct Touch {
    ChainKey key;
    int64_t used_ns = 0;
  };

  static size_t slot_bytes(const DiskCacheOptions& options) {
    return round_up(block_file_bytes(options.space, options.max_block_bytes), 4096);
  }
  static size_t num_slots(const DiskCacheOptions& options) {
    return std::clamp<size_t>(options.buffer_bytes / slot_bytes(options), kMinSlots, kMaxSlots);
  }

  void make_slots();
  Status read_index();
  void work_loop();
  void write(Slot& slot, Lock& lock);
  void read(Slot& slot, Lock& lock);
  void remove_forgotten(Lock& lock);
  void touch_files(Lock& lock);
  bool make_room(uint64_t num_bytes, int64_t used_ns, Lock& lock);
  void add_entry(int64_t used_ns, Entry entry);
  void drop_entry(Entries::iterator entry);
  void drop_entry(const ChainKey& key);  // if there is one
  void move_entry(const ChainKey& key, int64_t used_ns);
  int64_t time_of(Use use);
  void note_fault(const std::string& message);

  // Constant after construction.
  const DiskCacheOptions options;
  CacheFolder folder;             // disk thread, once it runs
  const Arena memory;             // of all slots
  std::vector<Slot> slots;        // writes, then reads; each belongs to whoever took it off a list

  // Engine thread.
  Slot* being_written = nullptr;
  Slot* being_looked_at = nullptr;

  mutable std::mutex mutex;       // guards what follows
  std::condition_variable work_arrived;
  std::condition_variable work_done;
  std::vector<Slot*> free_writes;
  std::vector<Slot*> free_reads;
  std::vector<Slot*> writes;      // oldest first
  std::vector<Slot*> reads;
  std::vector<Slot*> found;
  std::vector<Touch> touches;
  bool is_working = false;        // the disk thread has taken something
  bool must_forget = false;       // files of before clear() are still there
  bool stopping = false;
  uint64_t generation = 0;        // clear() begins another
  uint32_t num_to_drop = 0;
  bool has_warned = false;
  Entries entries;
  std::unordered_map<ChainKey, Entries::iterator> index;
  int64_t newest_ns = 0;          // of all uses so far
  int64_t last_ns = 0;            // of the last one
  DiskCounts counts;

  std::optional<BackgroundThread> thread;  // last: it ends first
};

void DiskCache::State::make_slots() {
  const size_t count = num_slots(options);
  slots.resize(2 * count);
  for (auto* list : {&free_writes, &free_reads, &writes, &reads, &found}) list->reserve(count);
  touches.reserve(kMaxTouches);
  for (size_t i = 0; i < slots.size(); ++i) {
    slots[i].image = memory.as<std::byte>().subspan(i * slot_bytes(options), slot_bytes(options));
    slots[i].tokens.reserve(options.space.block_tokens);
    (i < count ? free_writes : free_reads).push_back(&slots[i]);
  }
}

// What is in the folder. Files of no name of ours are left alone.
Status DiskCache::State::read_index() {
  ASSIGN_OR_RETURN(std::vector<CacheFolder::File> files, folder.list());
  for (CacheFolder::File& file : files) {
    const auto parsed = parse_block_file_name(file.name);
    if (!parsed) continue;
    newest_ns = std::max(newest_ns, file.used_ns);
    if (parsed->space == options.space) {
      add_entry(file.used_ns, {parsed->key, file.num_bytes, {}});
    } else {
      add_entry(file.used_ns, {std::nullopt, file.num_bytes, std::move(file.name)});
    }
  }
  Lock lock(mutex);
  make_room(0, std::numeric_limits<int64_t>::max(), lock);  // the limit may be a new one
  return ok_status();
}

void DiskCache::State::add_entry(int64_t used_ns, Entry entry) {
  counts.bytes += entry.num_bytes;
  const auto place = entries.emplace(used_ns, std::move(entry));
  if (!place->second.key) return;
  index[*place->second.key] = place;
  counts.blocks = index.size();
}

void DiskCache::State::drop_entry(Entries::iterator entry) {
  counts.bytes -= entry->second.num_bytes;
  if (entry->second.key) index.erase(*entry->second.key);
  counts.blocks = index.size();
  entries.erase(entry);
}

void DiskCache::State::drop_entry(const ChainKey& key) {
  if (const auto known = index.find(key); known != index.end()) drop_entry(known->second);
}

// It was of use at that time, too.
void DiskCache::State::move_entry(const ChainKey& key, int64_t used_ns) {
  const auto known = index.find(key);
  if (known == index.end() || known->second->first >= used_ns) return;
  auto node = entries.extract(known->second);
  node.key() = used_ns;
  known->second = entries.insert(std::move(node));
}

// Later than all before also when the clock goes back.
int64_t DiskCache::State::time_of(Use use) {
  if (use == Use::kBeforeLast) return --last_ns;
  newest_ns = std::max(unix_time_ns(), newest_ns + 1);
  return last_ns = newest_ns;
}

// Removes the files that were not of use for longest until num_bytes more fit; false when those that are left were of
// use later than used_ns.
bool DiskCache::State::make_room(uint64_t num_bytes, int64_t used_ns, Lock& lock) {
  while (!entries.empty() && counts.bytes + num_bytes > options.max_bytes) {
    const auto oldest = entries.begin();
    if (oldest->first > used_ns) return false;
    const Entry& entry = oldest->second;
    const std::string file = entry.key ? block_file_name(options.space, *entry.key) : entry.file;
    drop_entry(oldest);
    lock.unlock();
    folder.remove(file);
    lock.lock();
  }
  return true;
}

void DiskCache::State::work_loop() {
  Lock lock(mutex);
  const auto take_first = [](std::vector<Slot*>& list) {
    Slot* const slot = list.front();
    list.erase(list.begin());
    return slot;
  };
  while (true) {
    work_arrived.wait(lock, [&] {
      return !reads.empty() || !writes.empty() || !touches.empty() || must_forget || stopping;
    });
    is_working = true;
    if (!reads.empty()) {
      read(*take_first(reads), lock);
    } else if (must_forget) {
      remove_forgotten(lock);
    } else if (!writes.empty()) {
      write(*take_first(writes), lock);
    } else if (!touches.empty()) {
      touch_files(lock);
    } else {
      return;
    }
    is_working = false;
    work_done.notify_all();
  }
}

void DiskCache::State::write(Slot& slot, Lock& lock) {
  const uint64_t written_generation = slot.generation;
  if (written_generation == generation) {
    // The one this replaces, the end of a sequence with the same parent, goes first: its bytes are not counted twice.
    const std::string file = block_file_name(options.space, slot.key);
    drop_entry(slot.key);
    lock.unlock();
    const std::span<const std::byte> image = end_block_file(slot.image);
    lock.lock();
    const bool has_room = make_room(image.size(), slot.used_ns, lock);
    lock.unlock();
    const Status written = has_room ? folder.write(file, image, slot.used_ns) : ok_status();
    if (!has_room || !written.ok()) folder.remove(file);  // what this should have replaced
    lock.lock();
    if (!written.ok()) {
      note_fault(written.error().message);
    } else if (has_room && written_generation == generation) {
      has_warned = false;
      ++counts.writes;
      add_entry(slot.used_ns, {slot.key, image.size(), {}});
    }  // else it is dropped; or forgotten, and remove_forgotten() comes for it
  }
  free_writes.push_back(&slot);
}

void DiskCache::State::note_fault(const std::string& message) {
  ++counts.errors;
  num_to_drop = kDroppedAfterFault;
  if (!std::exchange(has_warned, true)) LOG_WARNING("the cache on the disk goes without some blocks: {}", message);
}

void DiskCache::State::read(Slot& slot, Lock& lock) {
  slot.content.reset();
  if (slot.generation == generation) {
    const std::string file = block_file_name(options.space, slot.key);
    lock.unlock();
    const auto num_bytes = folder.read(file, slot.image);
    if (num_bytes.ok()) {
      slot.content = read_block_file(options.space, slot.key, slot.name, slot.image.first(*num_bytes));
    }
    if (slot.content) {
      folder.touch(file, slot.used_ns);
    } else {
      folder.remove(file);
    }
    lock.lock();
    if (slot.content) {
      ++counts.hits;
      move_entry(slot.key, slot.used_ns);
    } else {
      ++counts.errors;
      drop_entry(slot.key);
    }
  }
  found.push_back(&slot);
}

void DiskCache::State::touch_files(Lock& lock) {
  while (!touches.empty()) {
    const Touch touch = touches.back();
    touches.pop_back();
    lock.unlock();
    folder.touch(block_file_name(options.space, touch.key), touch.used_ns);
    lock.lock();
  }
}

// Files of this model that the index does not have.
void DiskCache::State::remove_forgotten(Lock& lock) {
  must_forget = false;
  lock.unlock();
  const auto files = folder.list();
  lock.lock();
  if (!files.ok()) return note_fault(files.error().message);
  for (const CacheFolder::File& file : *files) {
    const auto parsed = parse_block_file_name(file.name);
    if (!parsed || !(parsed->space == options.space) || index.contains(parsed->key)) continue;
    lock.unlock();
    folder.remove(file.name);
    lock.lock();
  }
}

Result<std::unique_ptr<DiskCache>> DiskCache::open(CacheFolder folder, const DiskCacheOptions& options) {
  const uint64_t file_bytes = block_file_bytes(options.space, options.max_block_bytes);
  if (options.max_bytes < file_bytes) {
    return invalid("{} bytes on the disk do not hold one block of {}", options.max_bytes, file_bytes);
  }
  ASSIGN_OR_RETURN(Arena memory, Arena::make(2 * State::num_slots(options) * State::slot_bytes(options)));
  auto state = std::make_unique<State>(options, std::move(folder), std::move(memory));
  state->make_slots();
  RETURN_IF_ERROR(state->read_index());
  state->thread.emplace("disk", [run = state.get()] { run->work_loop(); });
  return std::unique_ptr<DiskCache>(new DiskCache(std::move(state)));
}

DiskCache::DiskCache(std::unique_ptr<State> state) : state_(std::move(state)) {}

DiskCache::~DiskCache() {
  {
    const Lock lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work_arrived.notify_one();
  state_->thread.reset();
}

const Secret& DiskCache::secret() const { return state_->options.secret; }

bool DiskCache::contains(const ChainKey& key) const {
  const Lock lock(state_->mutex);
  return state_->index.contains(key);
}

std::span<std::byte> DiskCache::begin_write(const BlockName& name, size_t num_bytes, Use use) {
  State& state = *state_;
  CHECK(state.being_written == nullptr, "a block is begun while another is being written");
  CHECK(num_bytes <= state.options.max_block_bytes, "{} bytes in a block of {}", num_bytes,
        state.options.max_block_bytes);
  {
    const Lock lock(state.mutex);
    if (state.num_to_drop > 0) {
      --state.num_to_drop;
      return {};
    }
    if (state.free_writes.empty()) return {};
    state.being_written = state.free_writes.back();
    state.free_writes.pop_back();
    state.being_written->used_ns = state.time_of(use);
  }
  State::Slot& slot = *state.being_written;
  slot.key = chain_key(state.options.secret, name, state.options.space.block_tokens);
  return begin_block_file(state.options.space, slot.key, name, num_bytes, slot.image);
}

void DiskCache::end_write() {
  State& state = *state_;
  CHECK(state.being_written != nullptr, "no block was begun");
  {
    const Lock lock(state.mutex);
    state.being_written->generation = state.generation;
    state.writes.push_back(std::exchange(state.being_written, nullptr));
  }
  state.work_arrived.notify_one();
}

void DiskCache::refresh(const ChainKey& key, Use use) {
  State& state = *state_;
  {
    const Lock lock(state.mutex);
    const int64_t used_ns = state.time_of(use);
    state.move_entry(key, used_ns);
    if (state.touches.size() < kMaxTouches && state.index.contains(key)) state.touches.push_back({key, used_ns});
  }
  state.work_arrived.notify_one();
}

bool DiskCache::ask(const BlockName& name, Use use) {
  State& state = *state_;
  const ChainKey key = chain_key(state.options.secret, name, state.options.space.block_tokens);
  {
    const Lock lock(state.mutex);
    if (state.free_reads.empty() || !state.index.contains(key)) return false;
    State::Slot& slot = *state.free_reads.back();
    state.free_reads.pop_back();
    slot.key = key;
    slot.tokens.assign(name.tokens.begin(), name.tokens.end());
    slot.name = {name.parent, name.extra, slot.tokens};
    slot.used_ns = state.time_of(use);
    slot.generation = state.generation;
    state.reads.push_back(&slot);
  }
  state.work_arrived.notify_one();
  return true;
}

std::optional<BlockStore::Found> DiskCache::next_found() {
  State& state = *state_;
  const Lock lock(state.mutex);
  if (state.being_looked_at != nullptr) state.free_reads.push_back(std::exchange(state.being_looked_at, nullptr));
  if (state.found.empty()) return std::nullopt;
  State::Slot& slot = *state.found.front();
  state.found.erase(state.found.begin());
  state.being_looked_at = &slot;
  if (!slot.content || slot.generation != state.generation) return Found{slot.tokens, {}};
  return Found{slot.content->tokens, slot.content->bytes};
}

void DiskCache::wait() {
  Lock lock(state_->mutex);
  state_->work_done.wait_for(lock, kLongestWait, [this] { return !state_->found.empty(); });
}

bool DiskCache::wait_to_write() {
  Lock lock(state_->mutex);
  return state_->work_done.wait_for(lock, kLongestWait, [this] { return !state_->free_writes.empty(); });
}

void DiskCache::settle() {
  Lock lock(state_->mutex);
  state_->work_done.wait(lock, [this] {
    const State& state = *state_;
    return state.reads.empty() && state.writes.empty() && state.touches.empty() && !state.must_forget &&
           !state.is_working;
  });
}

void DiskCache::clear() {
  State& state = *state_;
  {
    const Lock lock(state.mutex);
    ++state.generation;
    state.must_forget = true;
    while (!state.index.empty()) state.drop_entry(state.index.begin()->second);
  }
  state.work_arrived.notify_one();
}

DiskCounts DiskCache::counts() const {
  const Lock lock(state_->mutex);
  return state_->counts;
}

}  // namespace slipstream
