#include "fixup/settings.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

std::string with_x(std::string_view text, char separator) {
    return with_settings(text, separator, [](const Setting& setting) -> std::optional<std::string> {
        return setting.key == "x" ? std::optional<std::string>("new") : std::nullopt;
    });
}

} // namespace

TEST_CASE("only the value of a setting changes") {
    CHECK(with_x("a=1\n  x =\told  \r\n# x = no\nb=2", '=') ==
          "a=1\n  x =\tnew  \r\n# x = no\nb=2");
    CHECK(with_x("x: a: b\n", ':') == "x: new\n");
    CHECK(with_x("x=old", '=') == "x=new");
    CHECK(with_x("xx=old\n;x=old\nx\n", '=') == "xx=old\n;x=old\nx\n");
    CHECK(with_x("", '=').empty());
}

TEST_CASE("an empty value can be set") {
    CHECK(with_x("x: \ny: 1\n", ':') == "x: new\ny: 1\n");
    CHECK(with_x("x=\n", '=') == "x=new\n");
    CHECK(with_x("x=", '=') == "x=new");
    CHECK(with_x("x=\r\n", '=') == "x=new\r\n");
}

TEST_CASE("a line is added with the line ends of the text") {
    CHECK(with_line("", "a") == "a\n");
    CHECK(with_line("b\n", "a") == "b\na\n");
    CHECK(with_line("b", "a") == "b\na\n");
    CHECK(with_line("b\r\nc", "a") == "b\r\nc\r\na\r\n");
}

TEST_CASE("a setting knows its line") {
    SettingReader reader("# x\n\na = 1\nb = 2\n", '=');
    CHECK(reader.next()->line == 3);
    CHECK(reader.next()->line == 4);
    CHECK_FALSE(reader.next().has_value());
}
