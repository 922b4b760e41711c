// A shape with random weights as a folder that people could have downloaded: config.json as mlx-lm writes it,
// safetensors in shards with their index, a tokenizer.
#pragma once

#include <string>

#include "base/result.h"
#include "base/thread_pool.h"
#include "model/dummy_shape.h"
#include "model/weights.h"

namespace slipstream {

struct DummyFolderOptions {
  DummyName dummy;
  std::string folder;            // is made where it is missing; else it must be empty
  std::string tokenizer_folder;  // tokenizer.json and what lies beside it are copied from here; "": the byte tokenizer
};

// Everything that can be wrong is looked at before a byte is written; what an error leaves half done is removed.
// config.json is written last: a folder whose writing was interrupted is none that any program opens.
Status write_dummy_folder(const DummyFolderOptions& options, ThreadPool& pool, const LoadProgress& progress);

}  // namespace slipstream
