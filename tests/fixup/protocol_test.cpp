#include "fixup/protocol.hpp"

#include "fixup/binding.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

RepairReport some_report() {
    return {.system = "Debian, x86_64",
            .fixes = {{"udev-persistent-net", Outcome::applied, "eth0 is x", ""},
                      {"grub-bios", Outcome::cannot, "no", "do this"}},
            .plan_text = "--- a\n+++ b\n",
            .warnings = {"w"},
            .commands = {{"grub-bios", "grub-install /dev/x", "done\n"}},
            .files = {"/etc/a", "/boot/b"},
            .vm = {.firmware = "bios",
                   .machine = "q35",
                   .disk_bus = "virtio",
                   .nics = {{"eth0", "52:54:00:12:34:56", "virtio"}},
                   .cpu = "any"}};
}

} // namespace

TEST_CASE("a request arrives as it was sent") {
    const ApplianceRequest request{.disks = {"/srv/a \"b\".img", "/srv/b"},
                                   .format = DiskFormat::raw,
                                   .depth = Depth::mend,
                                   .accelerator = Accelerator::kvm,
                                   .root = "/dev/sda2",
                                   .keys = {"/srv/key"},
                                   .wishes = {.nics = {{"eth0", "52:54:00:12:34:56"}},
                                              .holds = {"cyrus-imapd"},
                                              .initiator_name = "iqn.2026-11.example:x",
                                              .initramfs = InitramfsWay::append,
                                              .agents = Agents::disable,
                                              .skip = {"grub-bios"}},
                                   .inventory = Inventory{.hostname = "mail1"}};
    CHECK(decode_request(encode_request(request)) == request);
}

TEST_CASE("notes, reports and errors arrive as they were sent") {
    CHECK(std::get<std::string>(decode_message(encode_note("a\nb"))) == "a\nb");
    CHECK(std::get<RepairReport>(decode_message(encode_report(some_report()))) == some_report());
    const Error error =
        std::get<Error>(decode_message(encode_error(Error("m", "h", ExitStatus::refused))));
    CHECK(error.message() == "m");
    CHECK(error.hint() == "h");
    CHECK(error.status() == ExitStatus::refused);
}

TEST_CASE("bytes that are not UTF-8 do not break a message") {
    CHECK(std::get<std::string>(decode_message(encode_note("x\xff"))).starts_with("x"));
}

TEST_CASE("what the guest says cannot drive the terminal") {
    RepairReport report = some_report();
    report.system = "a\x1b[2J";
    report.fixes[1].detail = "b\x07";
    report.fixes[1].hint = "c\r";
    report.plan_text = "+\td\x1b]0;x\n-e\n";
    report.warnings = {"f\nok: g"};
    report.files = {"/etc/\xc2\x9bh"};
    const auto decoded = std::get<RepairReport>(decode_message(encode_report(report)));
    CHECK(decoded.system == "a?[2J");
    CHECK(decoded.fixes[1].detail == "b?");
    CHECK(decoded.fixes[1].hint == "c?");
    CHECK(decoded.plan_text == "+\td?]0;x\n-e\n");
    CHECK(decoded.warnings[0] == "f?ok: g");
    CHECK(decoded.files[0].find('\x9b') == std::string::npos);
    const Error error = std::get<Error>(decode_message(encode_error(Error("i\x1b", "j\n"))));
    CHECK(error.message() == "i?");
    CHECK(error.hint() == "j?");
}

TEST_CASE("what the helper never writes is an error and never a crash") {
    for (const char* line :
         {"", "{", "[]", "{}", "{\"event\":1}", "{\"event\":\"nothing\"}", "{\"event\":\"note\"}",
          "{\"event\":\"report\"}", "{\"event\":\"report\",\"system\":\"x\",\"fixes\":7}",
          "{\"event\":\"error\",\"message\":1,\"hint\":2,\"status\":3}"}) {
        CAPTURE(line);
        CHECK_THROWS_AS(static_cast<void>(decode_message(line)), Error);
    }
    CHECK_THROWS_AS(static_cast<void>(decode_request("{}")), Error);
    CHECK_THROWS_AS(static_cast<void>(decode_message(std::string((16U << 20) + 1, ' '))), Error);
}

TEST_CASE("the report beside an overlay reads back") {
    const Binding binding{
        .created = "2026-11-22T03:05:14Z",
        .program = "coldspare 0.1.0",
        .layers = {{.base = "mail1.img",
                    .base_root = "00ff",
                    .base_stamp = {.size = 4096, .modified_ns = 1},
                    .overlay = "mail1.img.fixup.qcow2",
                    .overlay_stamp = {.size = 9, .modified_ns = 1700000000123456789}},
                   {.base = "mail2.img", .overlay = "mail2.img.fixup.qcow2"}},
        .accelerator = "tcg",
        .root = "/dev/sda1",
        .wishes = {.nics = {{"eth0", "52:54:00:12:34:56"}}},
        .report = some_report()};
    CHECK(parse_binding(encode_binding(binding)) == binding);
    for (const char* content :
         {"", "[]", "{}", "{\"format\":2}", "{\"format\":1}", "{\"format\":2,\"layers\":[]}"}) {
        CAPTURE(content);
        CHECK_THROWS_AS(static_cast<void>(parse_binding(content)), Error);
    }
}

TEST_CASE("the report stands beside its overlay") {
    CHECK(binding_path("/a/m.img.fixup.qcow2") == "/a/m.img.fixup.json");
    CHECK(binding_path("/a/overlay") == "/a/overlay.json");
    CHECK(pending_path("/a/m.img.fixup.qcow2") == "/a/m.img.fixup.json.next");
}
