#include "cli/standby_init.hpp"

#include "base/files.hpp"
#include "base/inventory.hpp"
#include "standby/standby_file.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <fcntl.h>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

namespace coldspare::cli {

namespace {

constexpr std::size_t limit = std::size_t{1} << 20;

/// What `action` prints to standard output.
std::string printed_by(const TemporaryDirectory& directory, const std::function<void()>& action) {
    const std::filesystem::path file = directory / "printed";
    const Fd into = open_file(file, O_RDWR | O_CREAT | O_TRUNC);
    std::fflush(stdout);
    const Fd before(::dup(STDOUT_FILENO));
    ::dup2(into.get(), STDOUT_FILENO);
    action();
    std::fflush(stdout);
    ::dup2(before.get(), STDOUT_FILENO);
    return read_file(file, limit);
}

std::string inventory_in(const TemporaryDirectory& directory) {
    const std::filesystem::path file = directory / "mail.inventory.json";
    write_file_atomically(file, encode_inventory({.hostname = "mail",
                                                  .cpus = 4,
                                                  .boot_disk = "/dev/sda",
                                                  .nics = {{.name = "eth0",
                                                            .permanent_mac = "00:0d:61:44:90:12",
                                                            .kind = NicKind::physical}}}));
    return file.string();
}

} // namespace

TEST_CASE("standby init writes a file that is a standby's, and not over another one") {
    const TemporaryDirectory directory;
    StandbyInitOptions options{.name = "mail01",
                               .inventory = inventory_in(directory),
                               .config_dir = (directory / "etc").string()};
    const std::string path = (directory / "etc/mail01.toml").string();
    const auto init = [&] {
        Output output(Format::text);
        static_cast<void>(standby_init(output, options));
    };
    CHECK(
        printed_by(directory, init) ==
        fmt::format("'{}' describes the standby 'mail01'; disks: 1, network cards: 1, volumes: 0\n"
                    "look over what it marks with CHECK before you go on\n",
                    path));
    const standby::StandbyFile made = standby::read_standby_file(directory / "etc", "mail01");
    CHECK(made.machine.cpus == 4);
    CHECK(made.machine.nics.at(0).name == "eth0");
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0644);

    const Error refused = thrown_by(init);
    CHECK(refused.status() == ExitStatus::refused);
    CHECK(refused.message() == fmt::format("refusing to overwrite '{}'", path));
    options.overwrite = Overwrite::allow;
    options.connect = "192.0.2.10:10001";
    static_cast<void>(printed_by(directory, init));
    CHECK(standby::read_standby_file(directory / "etc", "mail01").source.connect ==
          "192.0.2.10:10001");
}

TEST_CASE("standby init prints what it would write") {
    const TemporaryDirectory directory;
    const StandbyInitOptions options{
        .name = "mail01", .inventory = inventory_in(directory), .output = "-"};
    const auto init = [&](Format format) {
        return printed_by(directory, [&options, format] {
            Output output(format);
            static_cast<void>(standby_init(output, options));
        });
    };
    const std::string text = init(Format::text);
    CHECK(standby::parse_standby_file("mail01.toml", text).name == "mail01");
    const nlohmann::json result = nlohmann::json::parse(init(Format::json));
    CHECK(result.at("status") == "ok");
    CHECK(result.at("text") == text);
}

TEST_CASE("standby init describes this machine where no inventory is named") {
    const TemporaryDirectory directory;
    const StandbyInitOptions options{.name = "self", .output = (directory / "self.toml").string()};
    static_cast<void>(printed_by(directory, [&options] {
        Output output(Format::text);
        static_cast<void>(standby_init(output, options));
    }));
    CHECK(standby::read_standby_file(directory.path(), "self").machine.memory > 0);
}

TEST_CASE("standby init says which inventory it cannot read") {
    const TemporaryDirectory directory;
    write_file_atomically(directory / "x.json", "{");
    Output output(Format::text);
    const auto init = [&](const std::string& name, const std::string& file) {
        return thrown_by([&] {
            static_cast<void>(
                standby_init(output, {.name = name, .inventory = (directory / file).string()}));
        });
    };
    CHECK(init("mail01", "x.json").message() ==
          fmt::format("reading '{}': the inventory is not readable: it is no JSON object",
                      (directory / "x.json").string()));
    CHECK(init("mail01", "none.json").message().find("none.json") != std::string::npos);
    const std::string good = inventory_in(directory);
    const Error name = thrown_by(
        [&] { static_cast<void>(standby_init(output, {.name = "a/b", .inventory = good})); });
    CHECK(name.status() == ExitStatus::usage);
    CHECK(name.message() == "'a/b' is no name of a standby");
}

} // namespace coldspare::cli
