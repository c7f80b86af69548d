#include "clone/pins.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <sys/stat.h>

namespace coldspare::clone {

namespace {

using nlohmann::json;

Pin some_pin(std::string name = "mail") {
    Fingerprint fingerprint{};
    fingerprint.front() = std::byte{0xab};
    return {.name = std::move(name),
            .fingerprint = fingerprint,
            .paired = "2026-11-22T03:05:14Z",
            .peer = "192.0.2.7:40312"};
}

} // namespace

TEST_CASE("a pin is written as FORMATS.md says and read back") {
    const Pin pin = some_pin();
    CHECK(json::parse(encode(pin)) == json{{"format", 1},
                                           {"name", "mail"},
                                           {"fingerprint", "ab" + std::string(62, '0')},
                                           {"paired", "2026-11-22T03:05:14Z"},
                                           {"peer", "192.0.2.7:40312"}});
    CHECK(parse_pin(encode(pin)) == pin);
}

TEST_CASE("a pin that is not whole is refused with its reason") {
    const auto changed = [](const std::function<void(json&)>& change) {
        json object = json::parse(encode(some_pin()));
        change(object);
        return object.dump();
    };
    struct Row {
        std::string content;
        std::string_view reason;
    };
    const std::array<Row, 13> table{{
        {"", "it is not a JSON object"},
        {"[]", "it is not a JSON object"},
        {encode(some_pin()).substr(0, 40), "it is not a JSON object"},
        {std::string(4097, ' '), "it is longer than 4096 bytes"},
        {"[[[[[[[[1]]]]]]]]", "it is nested too deep"},
        {changed([](json& pin) { pin.erase("format"); }), "its 'format' is not 1"},
        {changed([](json& pin) { pin["format"] = 2; }), "its 'format' is not 1"},
        {changed([](json& pin) { pin["name"] = "../x"; }), "its 'name' is not a name for a pair"},
        {changed([](json& pin) { pin["fingerprint"] = "ab"; }),
         "a fingerprint has 64 hexadecimal digits"},
        {changed([](json& pin) { pin["fingerprint"] = std::string(64, 'x'); }),
         "a fingerprint has 64 hexadecimal digits"},
        {changed([](json& pin) { pin.erase("fingerprint"); }),
         "'fingerprint' is not a text of up to 1024 bytes"},
        {changed([](json& pin) { pin["peer"] = 7; }), "'peer' is not a text of up to 1024 bytes"},
        {changed([](json& pin) { pin["peer"] = std::string(1025, 'x'); }),
         "'peer' is not a text of up to 1024 bytes"},
    }};
    for (const Row& row : table) {
        CAPTURE(row.content);
        CHECK(thrown_by([&] { static_cast<void>(parse_pin(row.content)); }).message() ==
              row.reason);
    }
}

TEST_CASE("what a terminal would act on does not come out of a pin") {
    Pin pin = some_pin();
    pin.peer = "\x1b[2J";
    CHECK(parse_pin(encode(pin)).peer == "?[2J");
}

TEST_CASE("names that could be a path or an option are wrong usage") {
    for (const std::string_view name :
         {"", ".", "..", ".hidden", "-x", "a/b", "../a", "a b", "a\n", "\xc3\xa4"}) {
        CAPTURE(name);
        CHECK(thrown_by([&] { check_pin_name(name); }).status() == ExitStatus::usage);
    }
    CHECK_THROWS_AS(check_pin_name(std::string(65, 'a')), Error);
    CHECK_THROWS_AS(check_pin_name(std::string_view("a\0b", 3)), Error);
    for (const std::string& name :
         {std::string("a"), std::string("Mail-1_b.example"), std::string(64, 'a')}) {
        CHECK_NOTHROW(check_pin_name(name));
    }
    const Pins pins("/nowhere");
    CHECK_THROWS_AS(static_cast<void>(pins.find("../x")), Error);
    CHECK_THROWS_AS(static_cast<void>(pins.forget("../x")), Error);
    CHECK_THROWS_AS(pins.store(some_pin("../x")), Error);
}

TEST_CASE("a pin is kept, found, replaced, listed and forgotten") {
    const TemporaryDirectory directory;
    const Pins pins(directory / "state");
    CHECK_FALSE(pins.find("mail").has_value());
    CHECK_FALSE(pins.known("mail"));
    CHECK(pins.list().empty());
    pins.store(some_pin());
    CHECK(pins.known("mail"));
    CHECK(pins.find("mail") == some_pin());
    struct stat status {};
    REQUIRE(::stat((directory / "state/pairs/mail.json").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0600);
    Pin replaced = some_pin();
    replaced.fingerprint.back() = std::byte{1};
    pins.store(replaced);
    CHECK(pins.find("mail") == replaced);
    pins.store(some_pin("db"));
    write_file_atomically(directory / "state/pairs/mail.json.Ab3dEf", "left by a crash");
    CHECK(pins.list() == std::vector{some_pin("db"), replaced});
    CHECK(pins.forget("mail"));
    CHECK_FALSE(pins.forget("mail"));
    CHECK(pins.list() == std::vector{some_pin("db")});
}

TEST_CASE("a damaged pin is named with the way out, and can be forgotten") {
    const TemporaryDirectory directory;
    const Pins pins(directory.path());
    pins.store(some_pin());
    const std::filesystem::path path = directory / "pairs/mail.json";
    for (const std::string& content : {std::string("x"), encode(some_pin("other"))}) {
        write_file_atomically(path, content);
        const Error error = thrown_by([&] { static_cast<void>(pins.find("mail")); });
        CHECK(error.message().starts_with(fmt::format("'{}' is damaged: it is ", path.string())));
        CHECK(error.hint() == "run 'coldspare pair forget mail', then pair again");
        CHECK_THROWS_AS(static_cast<void>(pins.list()), Error);
    }
    CHECK(pins.known("mail"));
    CHECK(pins.forget("mail"));
}

} // namespace coldspare::clone
