// Any bytes as a token: what is read comes back the same, what is not read is not repeated.
#include "base/error.hpp"
#include "clone/token.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace coldspare;
using namespace coldspare::clone;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static const std::string complaint = [] {
        try {
            static_cast<void>(parse_token(""));
        } catch (const Error& error) {
            return error.message() + error.hint();
        }
        std::abort();
    }();
    try {
        const Token token = parse_token(text);
        if (parse_token(format_token(token)) != token) {
            std::abort();
        }
    } catch (const Error& error) {
        if (error.message() + error.hint() != complaint || error.status() != ExitStatus::usage) {
            std::abort();
        }
    }
    return 0;
}
