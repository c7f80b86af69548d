#include "standby/xml.hpp"

#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::standby;

namespace {

std::string nested(std::size_t depth) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) {
        text += "<a>";
    }
    for (std::size_t i = 0; i < depth; ++i) {
        text += "</a>";
    }
    return text;
}

} // namespace

TEST_CASE("XML comes back as it was written, whatever it is made of") {
    const XmlElement root{.name = "a",
                          .attributes = {{"x", "& < > \" ' ]]> \t ü 日本 🙂"}, {"y:z", ""}},
                          .children = {{.name = "b", .text = " & < > \" ' ]]> &amp; <!-- ü "},
                                       {.name = "b", .children = {{.name = "c"}}}}};
    CHECK(parse_xml(write_xml(root)) == root);
}

TEST_CASE("a text that XML cannot hold is refused") {
    for (const std::string& text :
         {std::string("a\0b", 3), std::string("\x1b[2J"), std::string("\xff"), std::string("\xc3"),
          std::string("\xc0\x80"), std::string("\xe0\x80\x80"), std::string("\xed\xa0\x80"),
          std::string("\xef\xbf\xbf"), std::string("\xf4\x90\x80\x80")}) {
        CAPTURE(text);
        const XmlElement root{.name = "a", .text = text};
        const Error error = thrown_by([&] { static_cast<void>(write_xml(root)); });
        CHECK(contains(error.message(), "cannot be written as XML"));
        CHECK(error.status() == ExitStatus::usage);
    }
}

TEST_CASE("what is no XML is refused") {
    for (const char* text :
         {"", "text", "<a>", "<a></b>", "<a x=1/>", "<!-- -->", "<a x='1' x='1'/>"}) {
        CAPTURE(text);
        CHECK(contains(thrown_by([&] { static_cast<void>(parse_xml(text)); }).message(),
                       "reading XML: "));
    }
}

TEST_CASE("XML beyond the limits is refused") {
    CHECK(parse_xml(nested(deepest_xml)).name == "a");
    CHECK(thrown_by([] { static_cast<void>(parse_xml(nested(deepest_xml + 1))); }).message() ==
          "reading XML: more than 64 elements in each other");
    CHECK(thrown_by([] {
              static_cast<void>(parse_xml(std::string(largest_xml + 1, ' ')));
          }).message() == "reading XML: it has 1.0 MiB; the limit is 1.0 MiB");
}

TEST_CASE("entities of a document's own are not replaced") {
    CHECK(parse_xml("<!DOCTYPE a [<!ENTITY e 'boom'>]><a>&e;</a>").text == "&e;");
}
