#include "fixup/udev_rules.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

TEST_CASE("a rule is taken apart into keys, attributes, operators and values") {
    const auto lines = parse_rules(R"(SUBSYSTEM=="net", ATTR{address} == "aa", NAME:="eth0")");
    REQUIRE(lines.size() == 1);
    REQUIRE(lines[0].kind == RuleLineKind::rule);
    REQUIRE(lines[0].tokens.size() == 3);
    CHECK(lines[0].tokens[0].key == "SUBSYSTEM");
    CHECK(lines[0].tokens[1].attribute == "address");
    CHECK(lines[0].tokens[1].op == "==");
    CHECK(lines[0].tokens[1].value == "aa");
    CHECK(lines[0].tokens[2].op == ":=");
}

TEST_CASE("missing commas, doubled commas and quoted quotes are understood") {
    const auto lines = parse_rules("A==\"1\" B==\"x\\\"y\",, C=\"\",\n");
    REQUIRE(lines[0].kind == RuleLineKind::rule);
    CHECK(lines[0].tokens.size() == 3);
    CHECK(lines[0].tokens[1].value == "x\\\"y");
}

TEST_CASE("the how-to's parentheses are remembered") {
    const auto lines = parse_rules("ATTRS(address)==\"aa\", NAME=\"eth0\"\n");
    REQUIRE(lines[0].kind == RuleLineKind::rule);
    CHECK(lines[0].tokens[0].parentheses);
    CHECK(lines[0].tokens[0].attribute == "address");
}

TEST_CASE("what udev would not read is unreadable and not a rule") {
    for (const char* text :
         {"NAME=eth0", "NAME=\"eth0", "ATTR{address==\"aa\"", "NAME \"eth0\"", "==\"x\"", "NAME",
          "NAME=i\"eth0\"", "\xef\xbb\xbfNAME=\"eth0\"", ","}) {
        CAPTURE(text);
        const auto lines = parse_rules(text);
        REQUIRE(lines.size() == 1);
        CHECK(lines[0].kind == RuleLineKind::unreadable);
    }
}

TEST_CASE("comments may be indented, and blank lines may have blanks") {
    const auto lines = parse_rules("  # a\n \t\n#b\r\n");
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].kind == RuleLineKind::comment);
    CHECK(lines[1].kind == RuleLineKind::nothing);
    CHECK(lines[2].kind == RuleLineKind::comment);
}

TEST_CASE("a backslash joins lines, and a comment in between does not end the rule") {
    const auto lines = parse_rules("A==\"1\", \\\n# note\n NAME=\"x\"\nB==\"2\"\n");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].tokens.size() == 2);
    CHECK(lines[0].number == 1);
    CHECK(lines[1].number == 4);
}

TEST_CASE("every byte belongs to exactly one line") {
    for (const char* text :
         {"", "\n", "a\\\n", "a\\\nb\\", "#x\\\nNAME=\"e\"\n\n", "a\r\nb\rc\n"}) {
        CAPTURE(text);
        const std::string_view content(text);
        std::string joined;
        for (const RuleLine& line : parse_rules(content)) {
            CHECK(line.begin == joined.size());
            joined += content.substr(line.begin, line.end - line.begin);
        }
        CHECK(joined == content);
    }
}
