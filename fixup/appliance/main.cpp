// coldspare-appliance: reads one request on standard input, works on one disk in one libguestfs
// appliance, and writes JSON lines on standard output (fixup/protocol.hpp). A process of its own,
// so that a library that hangs or aborts takes nothing with it but itself; `coldspare fixup` starts
// it, and kills its whole process group at a deadline. Not meant to be run by hand.

#include "fixup/appliance/guest.hpp"
#include "fixup/protocol.hpp"
#include "fixup/repair.hpp"

#include "base/files.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <sys/prctl.h>

namespace {

using namespace coldspare;
using namespace coldspare::fixup;

constexpr std::size_t largest_request = std::size_t{4} << 20;

void say(const std::string& line) {
    std::fputs((line + "\n").c_str(), stdout);
    std::fflush(stdout);
}

void work() {
    const NoteCallback note = [](std::string_view text) { say(encode_note(text)); };
    const ApplianceRequest request = decode_request(read_file("/dev/stdin", largest_request));
    const std::unique_ptr<ApplianceGuest> guest = open_guest(request, note);
    const RepairReport report =
        repair(*guest, request.wishes, request.depth, note, request.inventory);
    note("closing the disk");
    guest->finish();
    say(encode_report(report));
}

} // namespace

int main() {
    // Killed with the caller, whatever killed it; the library's own watcher then ends QEMU.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        work();
        return 0;
    } catch (const Error& error) {
        say(encode_error(error));
    } catch (const std::exception& error) {
        say(encode_error(Error(fmt::format("unexpected: {}", error.what()))));
    }
    return 1;
}
