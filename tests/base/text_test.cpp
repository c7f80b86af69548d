#include "base/text.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace coldspare {

TEST_CASE("byte counts are told in binary units with one decimal") {
    constexpr std::array<std::pair<std::uint64_t, std::string_view>, 12> table{{
        {0, "0 bytes"},
        {1, "1 bytes"},
        {1023, "1023 bytes"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {1048524, "1023.9 KiB"},
        {1048575, "1.0 MiB"},
        {1048576, "1.0 MiB"},
        {std::uint64_t{4} << 30, "4.0 GiB"},
        {500107862016, "465.8 GiB"},
        {std::uint64_t{256} << 40, "256.0 TiB"},
        {UINT64_MAX, "16.0 EiB"},
    }};
    for (const auto& [bytes, text] : table) {
        CAPTURE(bytes);
        CHECK(format_bytes(bytes) == text);
    }
}

TEST_CASE("durations are told as a clock would") {
    constexpr std::array<std::pair<double, std::string_view>, 8> table{{
        {0, "0:00"},
        {-5, "0:00"},
        {0.4, "0:00"},
        {59.6, "1:00"},
        {42, "0:42"},
        {3599, "59:59"},
        {3787, "1:03:07"},
        {360000, "100:00:00"},
    }};
    for (const auto& [seconds, text] : table) {
        CAPTURE(seconds);
        CHECK(format_duration(seconds) == text);
    }
}

TEST_CASE("hexadecimal digits come back as the bytes they were made of") {
    using namespace std::string_view_literals;
    CHECK(to_hex("\x00\x7f\x80\xff"sv) == "007f80ff");
    CHECK(from_hex("007f80ff") == "\x00\x7f\x80\xff"sv);
    CHECK(from_hex("aBcD") == "\xab\xcd"sv);
    CHECK(from_hex("") == ""sv);
}

TEST_CASE("what is not hexadecimal digits in pairs is nothing") {
    for (const std::string_view text : {"0", "0g", "g0", " 0", "0x", "00 ", "+1", "-1"}) {
        CAPTURE(text);
        CHECK_FALSE(from_hex(text).has_value());
    }
}

TEST_CASE("a text is split at its newlines and a last line without one counts") {
    using Lines = std::vector<std::string_view>;
    CHECK(split_lines("").empty());
    CHECK(split_lines("a") == Lines{"a"});
    CHECK(split_lines("a\n") == Lines{"a"});
    CHECK(split_lines("\n") == Lines{""});
    CHECK(split_lines("a\n\nb") == Lines{"a", "", "b"});
    CHECK(split_lines("a\r\nb") == Lines{"a\r", "b"});
}

TEST_CASE("trimming takes blanks from both ends only") {
    CHECK(trim(" \t\r\n").empty());
    CHECK(trim("").empty());
    CHECK(trim(" a b\n") == "a b");
    CHECK(trim("a") == "a");
}

TEST_CASE("what a terminal would act on is replaced") {
    using namespace std::string_view_literals;
    struct Row {
        std::string_view text;
        std::string_view shown;
    };
    const std::array<Row, 9> table{{
        {"plain text", "plain text"},
        {"\x1b[31mred", "?[31mred"},
        {"a\nb\tc\rd", "a?b?c?d"},
        {"nul\0nul"sv, "nul?nul"},
        {"del\x7f", "del?"},
        // The C1 controls: a terminal takes U+009B for ESC [, in UTF-8 or as a single byte.
        {"csi\xc2\x9b", "csi??"},
        {"csi\x9b", "csi?"},
        {"\xc3\xbcml\xc3\xa4ut", "\xc3\xbcml\xc3\xa4ut"},
        {"\xe2\x82\xac \xf0\x9f\x92\xbe", "\xe2\x82\xac \xf0\x9f\x92\xbe"},
    }};
    for (const Row& row : table) {
        CAPTURE(row.text);
        CHECK(printable(row.text) == row.shown);
    }
}

TEST_CASE("what is not UTF-8 is replaced byte by byte") {
    for (const std::string_view text : {"\xff", "\xc3", "\x80", "\xe2\x82", "\xf0\x9f\x92"}) {
        CAPTURE(text);
        CHECK(printable(text) == std::string(text.size(), '?'));
    }
    for (const std::string_view text : {"\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80"}) { // too long; surrogate; too large
        CAPTURE(text);
        CHECK(printable(text) == std::string(text.size(), '?'));
    }
    for (const std::string_view text :
         {"\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
        CAPTURE(text);
        CHECK(printable(text) == text);
    }
    CHECK(printable("\xc3(") == "?(");
}

} // namespace coldspare
