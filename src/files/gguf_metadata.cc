#include "files/gguf_metadata.h"

#include <array>
#include <utility>

#include "files/file_limits.h"
#include "files/quoted.h"

namespace slipstream {
namespace {

// The types of values, by the number that stands in the file.
enum class ValueType : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };
constexpr uint32_t kNumValueTypes = 13;
// Bytes of one value; a string at least its length, an array at least its type and count.
constexpr std::array<uint32_t, kNumValueTypes> kLeastBytes = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

class MetadataReader {
 public:
  explicit MetadataReader(ByteReader& reader) : reader_(reader) {}

  Result<GgufValue> read_value() {
    ASSIGN_OR_RETURN(const ValueType type, read_type());
    return type == ValueType::kArray ? read_array() : read_scalar(type);
  }

 private:
  Result<ValueType> read_type() {
    const auto type = reader_.read<uint32_t>();
    if (!reader_.ok()) return cut_off();
    if (type >= kNumValueTypes) return invalid("has a value of type {}, expected 0 to {}", type, kNumValueTypes - 1);
    return static_cast<ValueType>(type);
  }

  Result<GgufValue> read_scalar(ValueType type) {
    if (type == ValueType::kString) {
      ASSIGN_OR_RETURN(const std::string_view text,
                       read_gguf_string(reader_, file_limits::kMaxStringBytes, "the string"));
      return GgufValue(std::string(text));
    }
    if (type == ValueType::kBool) {
      const auto byte = reader_.read<uint8_t>();
      if (!reader_.ok()) return cut_off();
      if (byte > 1) return invalid("is a bool of value {}, expected 0 or 1", byte);
      return GgufValue(byte == 1);
    }
    GgufValue value;
    if (is_float(type)) {
      value = read_float(type);
    } else if (is_unsigned(type)) {
      value = read_unsigned(type);
    } else {
      value = read_signed(type);
    }
    if (!reader_.ok()) return cut_off();
    return value;
  }

  Result<GgufValue> read_array() {
    ASSIGN_OR_RETURN(const ValueType type, read_type());
    const auto count = reader_.read<uint64_t>();
    if (!reader_.ok()) return cut_off();
    if (type == ValueType::kArray) return invalid("is an array of arrays, which is not read");
    if (count > file_limits::kMaxArrayValues - num_array_values_) {
      return invalid("is an array of {} values, expected at most {} in all arrays together", count,
                     file_limits::kMaxArrayValues);
    }
    // So that what is reserved is never more than a few times what the file really holds.
    if (count > reader_.left() / kLeastBytes[static_cast<uint32_t>(type)]) {
      return invalid("is an array of {} values, but only {} bytes follow", count, reader_.left());
    }
    num_array_values_ += count;
    if (type == ValueType::kString) return read_strings(count);
    if (is_float(type)) {
      std::vector<double> values(count);
      for (double& value : values) value = read_float(type);
      return GgufValue(std::move(values));
    }
    std::vector<int64_t> values(count);
    for (int64_t& value : values) {
      if (!is_unsigned(type)) {
        value = read_signed(type);
        continue;
      }
      const uint64_t wide = read_unsigned(type);
      if (wide > static_cast<uint64_t>(INT64_MAX)) return invalid("holds {}, expected at most 2^63 - 1", wide);
      value = static_cast<int64_t>(wide);
    }
    return GgufValue(std::move(values));
  }

  Result<GgufValue> read_strings(uint64_t count) {
    std::vector<std::string> values;
    values.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(const std::string_view text,
                       read_gguf_string(reader_, file_limits::kMaxStringBytes, "a string of the array"));
      values.emplace_back(text);
    }
    return GgufValue(std::move(values));
  }

  static bool is_float(ValueType type) { return type == ValueType::kF32 || type == ValueType::kF64; }
  static bool is_unsigned(ValueType type) {
    return type == ValueType::kU8 || type == ValueType::kU16 || type == ValueType::kU32 || type == ValueType::kU64 ||
           type == ValueType::kBool;
  }
  double read_float(ValueType type) {
    return type == ValueType::kF32 ? static_cast<double>(reader_.read<float>()) : reader_.read<double>();
  }
  uint64_t read_unsigned(ValueType type) {
    switch (type) {
      case ValueType::kU16: return reader_.read<uint16_t>();
      case ValueType::kU32: return reader_.read<uint32_t>();
      case ValueType::kU64: return reader_.read<uint64_t>();
      default: return reader_.read<uint8_t>();
    }
  }
  int64_t read_signed(ValueType type) {
    switch (type) {
      case ValueType::kI8: return reader_.read<int8_t>();
      case ValueType::kI16: return reader_.read<int16_t>();
      case ValueType::kI32: return reader_.read<int32_t>();
      default: return reader_.read<int64_t>();
    }
  }
  static Error cut_off() { return invalid("is cut off by the end of the file"); }

  ByteReader& reader_;
  uint64_t num_array_values_ = 0;
};

Error wrong_type(std::string_view key, const char* expected) {
  return invalid("metadata key {} is not {}", in_quotes(key), expected);
}
Error no_key(std::string_view key) { return invalid("metadata key {} is missing", in_quotes(key)); }

}  // namespace

Result<std::string_view> read_gguf_string(ByteReader& reader, uint64_t max_bytes, std::string_view what) {
  const auto length = reader.read<uint64_t>();
  if (!reader.ok()) return invalid("{} is cut off by the end of the file", what);
  if (length > max_bytes) return invalid("{} has {} bytes, expected at most {}", what, length, max_bytes);
  const std::string_view text = reader.read_text(length);
  if (!reader.ok()) return invalid("{} has {} bytes, but only {} follow", what, length, reader.left());
  return text;
}

Result<GgufMetadata> read_gguf_metadata(ByteReader& reader, uint64_t num_keys) {
  GgufMetadata metadata;
  MetadataReader values(reader);
  for (uint64_t i = 0; i < num_keys; ++i) {
    ASSIGN_OR_RETURN(const std::string_view key,
                     read_gguf_string(reader, file_limits::kMaxKeyBytes, fmt::format("metadata key {}", i)));
    auto value = values.read_value();
    if (!value.ok()) {
      return invalid("metadata key {} {}", in_quotes(key), value.error().message);
    }
    if (!metadata.values.emplace(key, std::move(value).value()).second)
      return invalid("metadata key {} is there twice", in_quotes(key));
  }
  return metadata;
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto found = values.find(key);
  return found == values.end() ? nullptr : &found->second;
}

Result<uint64_t> GgufMetadata::get_uint(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key);
  if (const auto* number = std::get_if<uint64_t>(value)) return *number;
  if (const auto* number = std::get_if<int64_t>(value); number != nullptr && *number >= 0)
    return static_cast<uint64_t>(*number);
  return wrong_type(key, "a whole number from 0 on");
}

Result<double> GgufMetadata::get_float(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key);
  if (const auto* number = std::get_if<double>(value)) return *number;
  if (const auto* number = std::get_if<uint64_t>(value)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<int64_t>(value)) return static_cast<double>(*number);
  return wrong_type(key, "a number");
}

Result<std::string> GgufMetadata::get_string(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return no_key(key);
  if (const auto* text = std::get_if<std::string>(value)) return *text;
  return wrong_type(key, "a string");
}

}  // namespace slipstream
