#include "fixup/apply.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "fixup/guest_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

constexpr std::uint64_t largest_edited_file = std::uint64_t{2} << 20;
constexpr std::size_t shown_output = 800;
constexpr std::size_t kept_output = 4096;

void check_unchanged(Guest& guest, const FileEdit& edit) {
    if (edit.kind != EditKind::write) {
        return;
    }
    const FileKind kind = guest.status(edit.path).kind;
    const bool same = edit.before ? kind == FileKind::file &&
                                        guest.read(edit.path, largest_edited_file) == *edit.before
                                  : kind == FileKind::absent;
    if (!same) {
        throw Error(
            fmt::format("'{}' inside the copy is not what the plan was made for", edit.path));
    }
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
}

void make_parents(Guest& guest, const std::string& path) {
    const std::string parent = parent_of(path);
    const FileKind kind = guest.status(parent).kind;
    if (kind != FileKind::absent) {
        return; // a link to a directory serves as well
    }
    make_parents(guest, parent);
    guest.make_directory(parent);
    guest.label_like(parent, parent_of(parent));
}

void write_and_read_back(Guest& guest, const FileEdit& edit) {
    guest.write(edit.path, edit.after, edit.mode);
    if (guest.read(edit.path, largest_edited_file) != edit.after) {
        throw Error(
            fmt::format("'{}' inside the copy does not read back as it was written", edit.path),
            "its file system may be read-only: check it on the server");
    }
}

/// Does it, and gives what is new the SELinux label of its directory.
void carry_out(Guest& guest, const FileEdit& edit) {
    make_parents(guest, edit.path);
    const bool is_new = guest.status(edit.path).kind == FileKind::absent;
    switch (edit.kind) {
    case EditKind::write:
        write_and_read_back(guest, edit);
        break;
    case EditKind::remove:
        guest.remove(edit.path);
        return;
    case EditKind::link:
        if (!is_new) {
            guest.remove(edit.path);
        }
        guest.make_link(edit.path, edit.after);
        break;
    case EditKind::copy:
        guest.copy_file(edit.after, edit.path);
        break;
    }
    if (is_new) {
        guest.label_like(edit.path, parent_of(edit.path));
    }
}

void undo(Guest& guest, const FileEdit& edit) {
    if (edit.before) {
        guest.write(edit.path, *edit.before, edit.mode);
    } else {
        guest.remove(edit.path);
    }
}

/// The end of what a program printed, which a terminal may see.
std::string end_of(std::string_view text) {
    std::string kept;
    for (const std::string_view line :
         split_lines(text.substr(text.size() - std::min(text.size(), kept_output)))) {
        kept += printable(line) + "\n";
    }
    return kept;
}

std::string run_command(Guest& guest, const GuestCommand& command) {
    const CommandOutput output = guest.run(command.line);
    if (output.status == 0) {
        return end_of(output.text);
    }
    const std::string words = last_words(output.text, shown_output);
    throw Error(fmt::format("'{}' inside the copy ended with status {}: {}", command.line,
                            output.status, words.empty() ? "it printed nothing" : words));
}

} // namespace

std::vector<CommandRecord> apply_plan(Guest& guest, const Plan& plan, const NoteCallback& note) {
    std::vector<CommandRecord> commands;
    for (const FixPlan& fix : plan.fixes) {
        for (const FileEdit& edit : fix.edits) {
            note(fmt::format("{}: editing {}", fix.id, edit.path));
            check_unchanged(guest, edit);
            carry_out(guest, edit);
        }
        for (const GuestCommand& command : fix.commands) {
            note(fmt::format("{}: {}", fix.id, command.line));
            commands.push_back(
                {.fix = fix.id, .line = command.line, .output = run_command(guest, command)});
        }
        for (const FileEdit& edit : fix.edits) {
            if (edit.lifetime == Lifetime::during_commands) {
                undo(guest, edit);
            }
        }
    }
    return commands;
}

} // namespace coldspare::fixup
