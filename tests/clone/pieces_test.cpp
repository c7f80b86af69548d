#include "clone/pieces.hpp"

#include "base/files.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

namespace {

std::vector<std::span<const std::byte>> bytes_of(std::initializer_list<std::string_view> texts) {
    std::vector<std::span<const std::byte>> pieces;
    for (const std::string_view text : texts) {
        pieces.push_back(as_byte_span(text));
    }
    return pieces;
}

std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace

TEST_CASE("pieces are read from the front as if they were one") {
    const auto texts = bytes_of({"", "abc", "", "", "de", "f", ""});
    Pieces pieces(texts);
    CHECK(pieces.size() == 6);
    CHECK(text_of(pieces.front()) == "abc");
    CHECK(pieces.behind().size() == 5);
    pieces.skip(2);
    CHECK(text_of(pieces.front()) == "c");
    pieces.skip(1);
    CHECK(text_of(pieces.front()) == "de");
    pieces.skip(2);
    CHECK(text_of(pieces.front()) == "f");
    CHECK(pieces.size() == 1);
    CHECK_FALSE(pieces.empty());
    pieces.skip(1);
    CHECK(pieces.empty());
    CHECK(pieces.front().empty());
    CHECK(pieces.behind().empty());
}

TEST_CASE("copying from pieces takes nothing away") {
    const auto texts = bytes_of({"abc", "", "defg"});
    Pieces pieces(texts);
    pieces.skip(1);
    std::array<std::byte, 4> four{};
    CHECK(pieces.copy(four) == 4);
    CHECK(text_of(four) == "bcde");
    CHECK(pieces.size() == 6);
    std::array<std::byte, 10> ten{};
    CHECK(pieces.copy(ten) == 6);
    CHECK(text_of(std::span(ten).first(6)) == "bcdefg");
}

TEST_CASE("no pieces and empty pieces are nothing") {
    CHECK(Pieces({}).empty());
    const auto texts = bytes_of({"", ""});
    CHECK(Pieces(texts).empty());
}

} // namespace coldspare::clone
