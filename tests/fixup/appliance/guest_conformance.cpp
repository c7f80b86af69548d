// guest-conformance IMAGE: the real Guest against the promises that the one in memory passes. The
// disk is opened read-only, so every write goes to a layer that the appliance throws away. Prints a
// line per claim; status 1 if one does not hold.
#include "tests/support/guest_conformance.hpp"
#include "base/error.hpp"
#include "fixup/accelerator.hpp"
#include "fixup/appliance/guest.hpp"

#include <fmt/format.h>

#include <cstdio>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

int check(const char* image) {
    int broken = 0;
    const auto expect = [&broken](bool holds, const char* claim) {
        std::puts(fmt::format("{} - {}", holds ? "ok" : "FAILED", claim).c_str());
        broken += holds ? 0 : 1;
    };
    const std::unique_ptr<ApplianceGuest> guest =
        open_guest({.disks = {image},
                    .format = DiskFormat::raw,
                    .depth = Depth::look,
                    .accelerator = probe_accelerator().accelerator},
                   [](std::string_view note) { fmt::print("# {}\n", note); });
    check_guest_conformance(*guest, "/root", expect);
    expect(guest->run("true").status == 0, "a command that succeeds has status 0");
    const CommandOutput output = guest->run("echo out; echo err >&2; exit 7");
    expect(output.status == 7, "the status of a command comes through");
    expect(output.text == "out\nerr\n", "and so does all that it printed");
    expect(guest->run("no-such-program").status == 127, "a program that is absent is an answer");
    expect(guest->run(fmt::format("test -b {}", guest->disk_name(0))).status == 0,
           "commands find the disk by its label");
    expect(guest->run("mountpoint -q /run").status == 0,
           "what programs leave in /run stays in memory");
    guest->finish();
    return broken == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: guest-conformance IMAGE\n", stderr);
        return 2;
    }
    try {
        return check(argv[1]);
    } catch (const Error& error) {
        std::fputs(fmt::format("FAILED - {}\n  hint: {}\n", error.message(), error.hint()).c_str(),
                   stderr);
        return 1;
    }
}
