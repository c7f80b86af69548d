#include "fixup/apply.hpp"

#include "base/error.hpp"
#include "fixup/guest_text.hpp"

#include <fmt/format.h>

namespace coldspare::fixup {

namespace {

constexpr std::uint64_t largest_edited_file = std::uint64_t{2} << 20;
constexpr std::size_t shown_output = 800;

void check_unchanged(Guest& guest, const FileEdit& edit) {
    const FileKind kind = guest.status(edit.path).kind;
    const bool same = edit.before ? kind == FileKind::file &&
                                        guest.read(edit.path, largest_edited_file) == *edit.before
                                  : kind == FileKind::absent;
    if (!same) {
        throw Error(
            fmt::format("'{}' inside the copy is not what the plan was made for", edit.path));
    }
}

void write_and_read_back(Guest& guest, const FileEdit& edit) {
    guest.write(edit.path, edit.after, edit.mode);
    if (guest.read(edit.path, largest_edited_file) != edit.after) {
        throw Error(
            fmt::format("'{}' inside the copy does not read back as it was written", edit.path),
            "its file system may be read-only: check it on the server");
    }
}

void undo(Guest& guest, const FileEdit& edit) {
    if (edit.before) {
        guest.write(edit.path, *edit.before, edit.mode);
    } else {
        guest.remove(edit.path);
    }
}

void run_command(Guest& guest, const GuestCommand& command) {
    const CommandOutput output = guest.run(command.line);
    if (output.status == 0) {
        return;
    }
    const std::string words = last_words(output.text, shown_output);
    throw Error(fmt::format("'{}' inside the copy ended with status {}: {}", command.line,
                            output.status, words.empty() ? "it printed nothing" : words));
}

} // namespace

void apply_plan(Guest& guest, const Plan& plan, const NoteCallback& note) {
    for (const FixPlan& fix : plan.fixes) {
        for (const FileEdit& edit : fix.edits) {
            check_unchanged(guest, edit);
        }
    }
    for (const FixPlan& fix : plan.fixes) {
        for (const FileEdit& edit : fix.edits) {
            note(fmt::format("{}: editing {}", fix.id, edit.path));
            write_and_read_back(guest, edit);
        }
        for (const GuestCommand& command : fix.commands) {
            note(fmt::format("{}: {}", fix.id, command.line));
            run_command(guest, command);
        }
        for (const FileEdit& edit : fix.edits) {
            if (edit.lifetime == Lifetime::during_commands) {
                undo(guest, edit);
            }
        }
    }
}

} // namespace coldspare::fixup
