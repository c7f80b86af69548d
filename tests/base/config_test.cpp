#include "base/config.hpp"
#include "base/error.hpp"

#include <doctest/doctest.h>

namespace coldspare {

namespace {

/// The message that a reader ends with, or empty.
std::string complaints(const std::string& text, const std::function<void(ConfigTable)>& reader) {
    try {
        ConfigFile file("mail.toml", text);
        reader(file.root());
        file.finish();
    } catch (const Error& error) {
        CHECK(error.status() == ExitStatus::usage);
        return error.message();
    }
    return {};
}

} // namespace

TEST_CASE("a configuration gives what is in it") {
    ConfigFile file("mail.toml", "name = 'mail'\n"
                                 "[target]\n"
                                 "memory = \"4GiB\"\n"
                                 "cpus = 2\n"
                                 "age = '35d'\n"
                                 "cold = true\n"
                                 "holds = ['a', 'b']\n"
                                 "one = 'c'\n"
                                 "[[nic]]\nname = 'eth0'\n[[nic]]\nname = 'eth1'\n");
    ConfigTable root = file.root();
    CHECK(root.text("name") == "mail");
    ConfigTable target = root.table("target");
    CHECK(target.line() == 2);
    CHECK(target.size("memory", 1, UINT64_MAX) == std::uint64_t{4} << 30);
    CHECK(target.number("cpus", 1, 8) == 2);
    CHECK(target.duration("age") == 35 * 86400);
    CHECK(target.flag("cold") == true);
    CHECK(target.texts("holds") == std::vector<std::string>{"a", "b"});
    CHECK(target.texts("one") == std::vector<std::string>{"c"});
    std::vector<ConfigTable> nics = root.tables("nic");
    REQUIRE(nics.size() == 2);
    CHECK(nics[0].text("name") == "eth0");
    CHECK(nics[1].text("name") == "eth1");
    CHECK(nics[1].line_of("name") == 12);
    CHECK_FALSE(root.table("source").is_there());
    CHECK_NOTHROW(file.finish());
}

TEST_CASE("every complaint is made at once, in the order of the file") {
    const std::string message =
        complaints("format = 1\n"
                   "[taget]\n"
                   "cpus = 2\n"
                   "[source]\n"
                   "cpus = 0\n"
                   "memory = \"4GB\"\n"
                   "firmware = \"biso\"\n"
                   "age = 35\n"
                   "cold = \"yes\"\n"
                   "nmae = \"x\"\n"
                   "holds = [1]\n"
                   "empty = \"\"\n",
                   [](ConfigTable root) {
                       static_cast<void>(root.number("format", 1, 1));
                       static_cast<void>(root.table("target"));
                       ConfigTable source = root.table("source");
                       static_cast<void>(source.text("name", Need::required));
                       static_cast<void>(source.number("cpus", 1, 64));
                       static_cast<void>(source.size("memory", 1, UINT64_MAX));
                       static_cast<void>(source.word("firmware", {"bios", "uefi"}));
                       static_cast<void>(source.duration("age"));
                       static_cast<void>(source.flag("cold"));
                       static_cast<void>(source.texts("holds"));
                       static_cast<void>(source.text("empty"));
                   });
    CHECK(message == "mail.toml:2: there is no 'taget' here; did you mean 'target'?\n"
                     "mail.toml:4: 'source.name' is missing\n"
                     "mail.toml:5: 'source.cpus' is 0, and must be from 1 to 64\n"
                     "mail.toml:6: 'source.memory' is '4GB', and a size is a whole number with "
                     "KiB, MiB, GiB or TiB: \"4GiB\"\n"
                     "mail.toml:7: 'source.firmware' is 'biso'; did you mean 'bios'?\n"
                     "mail.toml:8: 'source.age' is a number, and a text is wanted: in \"quotes\"\n"
                     "mail.toml:9: 'source.cold' is a text, and true or false is wanted, without "
                     "quotes\n"
                     "mail.toml:10: there is no 'source.nmae' here; did you mean 'name'?\n"
                     "mail.toml:11: 'source.holds' is a number, and a text is wanted: in "
                     "\"quotes\"\n"
                     "mail.toml:12: 'source.empty' is empty");
}

TEST_CASE("a table in the place of a value, and the other way round") {
    CHECK(complaints("[a]\nb = 1\n", [](ConfigTable root) { static_cast<void>(root.text("a")); }) ==
          "mail.toml:1: 'a' is a table, and a text is wanted: in \"quotes\"");
    CHECK(complaints("a = 1\n", [](ConfigTable root) { static_cast<void>(root.table("a")); }) ==
          "mail.toml:1: 'a' is a number, and a table is wanted: [a]");
    CHECK(complaints("[a]\n", [](ConfigTable root) { static_cast<void>(root.tables("a")); }) ==
          "mail.toml:1: 'a' is a table, and tables are wanted: [[a]]");
}

TEST_CASE("what is no TOML is named by its line") {
    CHECK(complaints("a = 1\nb = = 2\n", [](ConfigTable) {}).starts_with("mail.toml:2: "));
    CHECK(complaints("a = \"x\x01\"\n", [](ConfigTable) {}).starts_with("mail.toml:1: "));
    CHECK(complaints("a = [[[[[[[[[[1]]]]]]]]]]", [](ConfigTable) {}) ==
          "mail.toml:1: tables and lists are nested more than 8 deep");
    CHECK(complaints(std::string(largest_config + 1, '#'), [](ConfigTable) {}) ==
          "'mail.toml' has 1048577 bytes, and 1048576 are the most that a configuration can have");
}

} // namespace coldspare
