#include "model/weights.h"

#include <algorithm>
#include <atomic>
#include <numeric>

#include "files/quoted.h"
#include "model/weights_plan.h"
#include "model/weights_rows.h"

namespace slipstream {
namespace {

// Of the file at once in memory while it is packed: enough that handing out work and giving pages back cost nothing.
constexpr size_t kChunkBytes = size_t{16} << 20;

// Of the file on its way from the disk while others are packed: a disk answers many requests at once, and experts are
// many small pieces.
constexpr uint64_t kReadAheadBytes = uint64_t{128} << 20;

class Packer {
 public:
  Packer(const TensorSource& source, const WeightsPlan& plan, ThreadPool& pool, const LoadProgress& progress)
      : source_(source),
        pool_(pool),
        progress_(progress),
        total_(source.total_bytes()),
        readers_(pool.num_threads(), RowReader(plan)) {}

  Status pack_vector(const VectorPlan& plan, std::byte* memory) {
    const Tensor& tensor = *plan.values;
    source_.need(tensor.bytes);
    if (!values_finite(tensor.dtype, tensor.bytes.data(), plan.num_values)) {
      return invalid("{}: tensor {} has a value that is not finite", tensor.file, in_quotes(tensor.name));
    }
    auto* out = reinterpret_cast<float*>(memory + plan.offset);
    widen_values(tensor.dtype, tensor.bytes.data(), plan.num_values, out);
    *plan.vector = out;
    finish(tensor.bytes);
    return ok_status();
  }

  Status pack_matrix(const MatrixPlan& plan, std::byte* memory) {
    std::byte* data = memory + plan.offset;
    plan.matrix->data = data;
    const uint32_t num_panels = plan.matrix->num_panels();
    const uint32_t step = panels_at_once(plan);
    for (uint32_t panel = 0; panel < num_panels; panel += step) {
      const Range panels{panel, std::min(panel + step, num_panels)};
      const uint32_t bad_row = pack_panels(plan, panels, data);
      if (bad_row != RowReader::kNone) {
        return invalid("{}: tensor {} has a {} that is not finite in row {}", plan.values->file,
                       in_quotes(plan.values->name), plan.matrix->format.quantised() ? "scale or bias" : "value",
                       plan.slice * plan.matrix->rows + bad_row);
      }
      release_rows(plan, panels);
    }
    return ok_status();
  }

 private:
  // Whole heads at a time where rows change places inside a head, so that a chunk of the matrix is a chunk of the file.
  static uint32_t panels_at_once(const MatrixPlan& plan) {
    const uint32_t unit = plan.rotary_head_dim == 0 ? 1 : std::lcm(plan.rotary_head_dim, kPanelRows) / kPanelRows;
    const size_t panel_bytes = std::max<size_t>(1, plan.part(*plan.values).size() / plan.matrix->num_panels());
    const auto units = static_cast<uint32_t>(kChunkBytes / panel_bytes / unit);
    return std::max(1u, units) * unit;
  }

  // The first row with something that is not finite, or kNone.
  uint32_t pack_panels(const MatrixPlan& plan, Range panels, std::byte* data) {
    const size_t panel_bytes = packed_panel_bytes(plan.matrix->format, plan.matrix->cols);
    std::atomic<uint32_t> bad_row{RowReader::kNone};
    pool_.run([&](uint32_t thread) {
      const Range part = split(panels.size(), thread, pool_.num_threads());
      const Range mine{panels.begin + part.begin, panels.begin + part.end};
      for_bytes(plan, mine, [this](std::span<const std::byte> bytes) { source_.need(bytes); });
      for (uint32_t panel = mine.begin; panel < mine.end; ++panel) {
        const RowReader::Rows rows = readers_[thread].read(plan, panel * kPanelRows);
        pack_panel(plan.matrix->format, plan.matrix->cols, rows.source, data + panel * panel_bytes);
        uint32_t first = bad_row.load(std::memory_order_relaxed);
        while (rows.bad_row < first && !bad_row.compare_exchange_weak(first, rows.bad_row)) {
        }
      }
    });
    return bad_row.load();
  }

  void release_rows(const MatrixPlan& plan, Range panels) {
    for_bytes(plan, panels, [this](std::span<const std::byte> bytes) { finish(bytes); });
  }

  // Each stretch of the file that these panels are made from. (Where rows change places in their heads, of the whole
  // chunk, not of each thread's part.)
  template <class Use>
  static void for_bytes(const MatrixPlan& plan, Range panels, Use&& use) {
    const size_t begin = size_t{panels.begin} * kPanelRows;
    const size_t end = std::min<size_t>(size_t{panels.end} * kPanelRows, plan.matrix->rows);
    if (begin >= end) return;
    plan.for_each_part([&](std::span<const std::byte> part) {
      const size_t row_bytes = part.size() / plan.matrix->rows;
      use(part.subspan(begin * row_bytes, (end - begin) * row_bytes));
    });
  }

  void finish(std::span<const std::byte> bytes) {
    source_.release(bytes);
    done_ += bytes.size();
    if (progress_) progress_(done_, total_);
  }

  const TensorSource& source_;
  ThreadPool& pool_;
  const LoadProgress& progress_;
  const uint64_t total_;
  std::vector<RowReader> readers_;  // one per thread
  uint64_t done_ = 0;
};

}  // namespace

Result<Weights> load_weights(const ModelConfig& config, const TensorSource& source, TensorNames names, ThreadPool& pool,
                             const LoadProgress& progress) {
  Weights weights;
  ASSIGN_OR_RETURN(WeightsPlan plan, plan_weights(config, source, names, weights));
  if (const uint64_t available = available_memory_bytes(); plan.packed_bytes > available) {
    return outside("the weights take {} MB of memory, but only {} MB are available", plan.packed_bytes >> 20,
                   available >> 20);
  }
  ASSIGN_OR_RETURN(weights.memory, Arena::make(plan.packed_bytes));
  weights.packed_bytes = plan.packed_bytes;
  // In the order of the file, so that the disk reads forward.
  std::sort(plan.matrices.begin(), plan.matrices.end(), [](const MatrixPlan& a, const MatrixPlan& b) {
    return a.part(*a.values).data() < b.part(*b.values).data();
  });
  Packer packer(source, plan, pool, progress);
  for (const VectorPlan& vector : plan.vectors) RETURN_IF_ERROR(packer.pack_vector(vector, weights.memory.data()));
  size_t num_asked = 0;          // matrices whose bytes are on their way
  uint64_t bytes_on_their_way = 0;
  for (const MatrixPlan& matrix : plan.matrices) {
    for (; num_asked < plan.matrices.size() && bytes_on_their_way < kReadAheadBytes; ++num_asked) {
      const MatrixPlan& next = plan.matrices[num_asked];
      next.for_each_part([&source](std::span<const std::byte> bytes) { source.will_need(bytes); });
      bytes_on_their_way += next.stored_bytes();
    }
    RETURN_IF_ERROR(packer.pack_matrix(matrix, weights.memory.data()));
    bytes_on_their_way -= matrix.stored_bytes();
  }
  if (config.tied_embeddings) weights.lm_head = weights.embedding;
  if (progress) progress(source.total_bytes(), source.total_bytes());
  return weights;
}

}  // namespace slipstream
