// The Hugging Face hub's cache on this disk: what `hf download` (and every library built on huggingface_hub) fetched
// lies there and is used where it lies. Nothing is fetched here.
//
//   FOLDER/models--ORG--NAME/refs/main                        text: the commit that main is
//                           /snapshots/COMMIT/config.json ->  ../../blobs/HASH (a link; a copy where there are none)
//                           /blobs/HASH, HASH.incomplete      the latter while a download runs, or after it broke off
#pragma once

#include <string>

#include "base/result.h"
#include "hub/hub_name.h"

namespace slipstream {

// The environment variables that say where the cache is; "": not set.
struct HubEnvironment {
  std::string hf_hub_cache;           // HF_HUB_CACHE: the folder itself
  std::string huggingface_hub_cache;  // HUGGINGFACE_HUB_CACHE: the same under its old name
  std::string hf_home;                // HF_HOME: the folder is hub/ in it
  std::string xdg_cache_home;         // XDG_CACHE_HOME: the folder is huggingface/hub/ in it
  std::string home;                   // HOME: the folder is .cache/huggingface/hub/ in it
};

// The first of them that is set counts; a "~" at its beginning is `home`. "" when none is.
std::string hub_cache_folder(const HubEnvironment& environment);

// What MODEL of this name is on this disk: the snapshot's folder when there are safetensors in it, else its one .gguf
// file (of a model split into several, the first); with a file_part the .gguf file it picks. Errors are one line and
// say what to do: kNotFound when the repository or revision is not there, kInvalid when its download is not complete,
// it has no weights that can be read, or several .gguf models and none was picked.
Result<std::string> find_in_hub_cache(const std::string& cache_folder, const HubName& name);

}  // namespace slipstream
