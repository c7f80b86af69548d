#pragma once

#include "fixup/guest.hpp"
#include "fixup/protocol.hpp"

#include <memory>
#include <string_view>

namespace coldspare::fixup {

/// A Guest in a libguestfs appliance: one small virtual machine that has the copy's disk, mounts
/// its file systems and runs its programs, without a network. The host never mounts them.
class ApplianceGuest : public Guest {
public:
    /// Flushes everything and ends the appliance; a disk that could not be flushed is an Error. Not
    /// called: the appliance is killed, and what was written is worth nothing.
    virtual void finish() = 0;
};

/// Starts the appliance with the disk of the request (read-only for Depth::look: all writes go to a
/// throw-away layer), finds the one system on it and mounts its file systems. Blocks for about half
/// a minute under TCG. Throws Error.
[[nodiscard]] std::unique_ptr<ApplianceGuest> open_guest(const ApplianceRequest& request,
                                                         const NoteCallback& note);

} // namespace coldspare::fixup
