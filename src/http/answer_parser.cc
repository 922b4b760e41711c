#include "http/answer_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/parser.hpp>
#include <utility>

#include "http/growing_body.h"

namespace slipstream {

namespace beast_http = boost::beast::http;
using boost::system::error_code;

constexpr uint32_t kHeadBytes = 64 << 10;  // more is no answer

struct AnswerParser::Impl {
  beast_http::response_parser<GrowingBody> parser;
};

AnswerParser::AnswerParser() : impl_(std::make_unique<Impl>()) {
  impl_->parser.header_limit(kHeadBytes);
  impl_->parser.body_limit(boost::none);
  impl_->parser.eager(true);
}
AnswerParser::~AnswerParser() = default;
AnswerParser::AnswerParser(AnswerParser&&) noexcept = default;
AnswerParser& AnswerParser::operator=(AnswerParser&&) noexcept = default;

Result<size_t> AnswerParser::take(std::string_view received) {
  auto& parser = impl_->parser;
  if (received.empty() || parser.is_done()) return size_t{0};
  if (took_nothing_ && parser.is_header_done() && parser.chunked() && received.size() < kLeastChunkedRest) {
    return size_t{0};
  }
  error_code error;
  parser.get().body().swap(body_);
  const size_t taken = parser.put(boost::asio::buffer(received.data(), received.size()), error);
  parser.get().body().swap(body_);
  took_nothing_ = taken == 0;
  if (error && error != beast_http::error::need_more) return outside("this is no HTTP/1.1 ({})", error.message());
  return taken;
}

Status AnswerParser::end() {
  if (impl_->parser.is_done()) return ok_status();
  error_code error;
  if (impl_->parser.got_some()) impl_->parser.put_eof(error);
  if (error || !impl_->parser.is_done()) return outside("the server closed the connection before its answer was whole");
  return ok_status();
}

bool AnswerParser::has_head() const { return impl_->parser.is_header_done(); }
bool AnswerParser::done() const { return impl_->parser.is_done(); }
bool AnswerParser::keeps_alive() const { return impl_->parser.keep_alive(); }
int AnswerParser::status() const { return static_cast<int>(impl_->parser.get().result_int()); }

}  // namespace slipstream
