#include "disk/disk_cache.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/background_thread.h"
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "disk/cache_folder.h"

namespace slipstream {
namespace {

// After a write that failed so many are dropped untried: a disk that is full stays so for a while, and each try costs
// what a write costs.
constexpr uint32_t kDroppedAfterFault = 64;
// A wait ends after this long in any case: whoever waits has other things to look after.
constexpr std::chrono::milliseconds kLongestWait{20};
constexpr size_t kMinSlots = 2;
constexpr size_t kMaxSlots = 256;  // of tiny blocks

using Lock = std::unique_lock<std::mutex>;

}  // namespace

struct DiskCache::State {
  State(const DiskCacheOptions& its_options, CacheFolder its_folder, const Secret& its_secret, Arena arena)
      : options(its_options), folder(std::move(its_folder)), secret(its_secret), memory(std::move(arena)) {}

  // The memory of one file, on its way out or in.
  struct Slot {
    std::span<std::byte> image;
    ChainKey key;
    BlockName name;                 // of a read: what is expected; its tokens are in `tokens`
    std::vector<TokenId> tokens;    // [block_tokens]
    uint64_t generation = 0;
    std::optional<BlockContent> content;  // of a read, when it is done
  };
  struct Entry {
    std::optional<ChainKey> key;    // null: of another model
    uint64_t num_bytes = 0;
    std::string file;               // of another model; ours follows from the key
  };
  using EntryList = std::list<Entry>;

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
  void make_room(uint64_t num_bytes, Lock& lock);
  void add_entry(Entry entry);
  void drop_entry(EntryList::iterator entry);
  void move_behind_parent(const Slot& slot);
  void note_fault(const std::string& message);

  // Constant after construction.
  const DiskCacheOptions options;
  CacheFolder folder;             // disk thread, once it runs
  const Secret secret;
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
  bool is_working = false;        // the disk thread has taken something
  bool must_forget = false;       // files of before clear() are still there
  bool stopping = false;
  uint64_t generation = 0;        // clear() begins another
  uint32_t num_to_drop = 0;
  bool has_warned = false;
  EntryList entries;              // newest use first
  std::unordered_map<ChainKey, EntryList::iterator> index;
  DiskCounts counts;

  std::optional<BackgroundThread> thread;  // last: it ends first
};

void DiskCache::State::make_slots() {
  const size_t count = num_slots(options);
  slots.resize(2 * count);
  for (auto* list : {&free_writes, &free_reads, &writes, &reads, &found}) list->reserve(count);
  for (size_t i = 0; i < slots.size(); ++i) {
    slots[i].image = memory.as<std::byte>().subspan(i * slot_bytes(options), slot_bytes(options));
    slots[i].tokens.reserve(options.space.block_tokens);
    (i < count ? free_writes : free_reads).push_back(&slots[i]);
  }
}

// What is in the folder, oldest use last. Files of no name of ours are left alone.
Status DiskCache::State::read_index() {
  ASSIGN_OR_RETURN(std::vector<CacheFolder::File> files, folder.list());
  std::ranges::sort(files, {}, &CacheFolder::File::used_ns);
  for (CacheFolder::File& file : files) {
    const auto parsed = parse_block_file_name(file.name);
    if (!parsed) continue;
    if (parsed->space == options.space) {
      add_entry({parsed->key, file.num_bytes, {}});
    } else {
      add_entry({std::nullopt, file.num_bytes, std::move(file.name)});
    }
  }
  Lock lock(mutex);
  make_room(0, lock);  // the limit may be a new one
  return ok_status();
}

void DiskCache::State::add_entry(Entry entry) {
  counts.bytes += entry.num_bytes;
  entries.push_front(std::move(entry));
  if (!entries.front().key) return;
  index[*entries.front().key] = entries.begin();
  counts.blocks = index.size();
}

void DiskCache::State::drop_entry(EntryList::iterator entry) {
  counts.bytes -= entry->num_bytes;
  if (entry->key) index.erase(*entry->key);
  counts.blocks = index.size();
  entries.erase(entry);
}

// Removes the files that were not used for longest until num_bytes more fit.
void DiskCache::State::make_room(uint64_t num_bytes, Lock& lock) {
  while (!entries.empty() && counts.bytes + num_bytes > options.max_bytes) {
    const Entry& oldest = entries.back();
    const std::string file = oldest.key ? block_file_name(options.space, *oldest.key) : oldest.file;
    drop_entry(std::prev(entries.end()));
    lock.unlock();
    folder.remove(file);
    lock.lock();
  }
}

void DiskCache::State::work_loop() {
  Lock lock(mutex);
  const auto take_first = [](std::vector<Slot*>& list) {
    Slot* const slot = list.front();
    list.erase(list.begin());
    return slot;
  };
  while (true) {
    work_arrived.wait(lock, [&] { return !reads.empty() || !writes.empty() || must_forget || stopping; });
    is_working = true;
    if (!reads.empty()) {
      read(*take_first(reads), lock);
    } else if (must_forget) {
      remove_forgotten(lock);
    } else if (!writes.empty()) {
      write(*take_first(writes), lock);
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
    if (const auto known = index.find(slot.key); known != index.end()) drop_entry(known->second);
    lock.unlock();
    const std::span<const std::byte> image = end_block_file(slot.image);
    lock.lock();
    make_room(image.size(), lock);
    lock.unlock();
    const Status written = folder.write(file, image);
    if (!written.ok()) folder.remove(file);  // what this should have replaced
    lock.lock();
    if (!written.ok()) {
      note_fault(written.error().message);
    } else if (written_generation == generation) {
      has_warned = false;
      ++counts.writes;
      add_entry({slot.key, image.size(), {}});
    }  // else it is forgotten, and remove_forgotten() comes for it
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
      folder.touch(file);
    } else {
      folder.remove(file);
    }
    lock.lock();
    if (slot.content) {
      ++counts.hits;
      move_behind_parent(slot);
    } else {
      ++counts.errors;
      if (const auto known = index.find(slot.key); known != index.end()) drop_entry(known->second);
    }
  }
  found.push_back(&slot);
}

// Used now; but a block is of no use without its parent, which was used a moment before, so the parent stays the newer.
void DiskCache::State::move_behind_parent(const Slot& slot) {
  const auto known = index.find(slot.key);
  if (known == index.end()) return;
  const auto parent = index.find(slot.name.parent);
  const auto place = parent == index.end() ? entries.begin() : std::next(parent->second);
  entries.splice(place, entries, known->second);
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

Result<std::unique_ptr<DiskCache>> DiskCache::open(const DiskCacheOptions& options) {
  const uint64_t file_bytes = block_file_bytes(options.space, options.max_block_bytes);
  if (options.max_bytes < file_bytes) {
    return invalid("{} bytes on the disk do not hold one block of {}", options.max_bytes, file_bytes);
  }
  ASSIGN_OR_RETURN(CacheFolder folder, CacheFolder::open(options.folder));
  ASSIGN_OR_RETURN(const Secret secret, folder.secret(options.fresh_secret));
  ASSIGN_OR_RETURN(Arena memory, Arena::make(2 * State::num_slots(options) * State::slot_bytes(options)));
  auto state = std::make_unique<State>(options, std::move(folder), secret, std::move(memory));
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

const Secret& DiskCache::secret() const { return state_->secret; }

bool DiskCache::contains(const ChainKey& key) const {
  const Lock lock(state_->mutex);
  return state_->index.contains(key);
}

std::span<std::byte> DiskCache::begin_write(const BlockName& name, size_t num_bytes) {
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
  }
  State::Slot& slot = *state.being_written;
  slot.key = chain_key(state.secret, name, state.options.space.block_tokens);
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

bool DiskCache::ask(const BlockName& name) {
  State& state = *state_;
  const ChainKey key = chain_key(state.secret, name, state.options.space.block_tokens);
  {
    const Lock lock(state.mutex);
    if (state.free_reads.empty() || !state.index.contains(key)) return false;
    State::Slot& slot = *state.free_reads.back();
    state.free_reads.pop_back();
    slot.key = key;
    slot.tokens.assign(name.tokens.begin(), name.tokens.end());
    slot.name = {name.parent, name.extra, slot.tokens};
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

void DiskCache::wait_to_write() {
  Lock lock(state_->mutex);
  state_->work_done.wait_for(lock, kLongestWait, [this] { return !state_->free_writes.empty(); });
}

void DiskCache::settle() {
  Lock lock(state_->mutex);
  state_->work_done.wait(lock, [this] {
    const State& state = *state_;
    return state.reads.empty() && state.writes.empty() && !state.must_forget && !state.is_working;
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
