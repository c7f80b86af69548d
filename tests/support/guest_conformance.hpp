#pragma once

#include "base/error.hpp"
#include "fixup/guest.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// What every Guest promises, on a guest that has a directory `room` to write in. `expect` is told
/// each claim and whether it holds: doctest in one program, lines of text in the other.
inline void check_guest_conformance(Guest& guest, const std::string& room,
                                    const std::function<void(bool, const char*)>& expect) {
    const auto throws = [](const std::function<void()>& act) {
        try {
            act();
        } catch (const Error&) {
            return true;
        }
        return false;
    };
    const std::string path = room + "/conformance";
    const std::string content = std::string("a\r\nb") + '\0' + "\xff last line";
    constexpr std::uint64_t limit = 1000;

    expect(guest.status(path).kind == FileKind::absent, "an absent file is absent");
    expect(throws([&] { static_cast<void>(guest.status("")); }), "a path is absolute");
    expect(throws([&] { static_cast<void>(guest.read(path, limit)); }), "it cannot be read");
    expect(throws([&] { guest.remove(path); }), "it cannot be removed");
    expect(guest.names_in(room + "/no-such-directory").empty(), "no directory has no names");

    guest.write(path, content, 0755);
    expect(guest.status(path).kind == FileKind::file, "a written file is a file");
    expect(guest.status(path).size == content.size(), "its size is right");
    expect(guest.read(path, limit) == content, "every byte reads back");
    expect(throws([&] { static_cast<void>(guest.read(path, content.size() - 1)); }),
           "a file beyond the limit is not read");
    guest.write(path, "short", 0600);
    expect(guest.read(path, limit) == "short", "a second write replaces the content");
    const std::string large(std::size_t{9} << 20, 'x');
    guest.append(path, large);
    guest.append(path, "y");
    expect(guest.read(path, large.size() + limit) == "short" + large + "y",
           "what is appended stands behind, however large it is");
    expect(throws([&] { guest.append(path + "-none", "x"); }), "there must be a file to add to");
    expect(guest.status(path + "-none").kind == FileKind::absent, "and none is made");
    guest.write(path, "", 0600);
    expect(guest.read(path, limit).empty(), "a file can be empty");

    const std::vector<std::string> names = guest.names_in(room);
    expect(std::find(names.begin(), names.end(), "conformance") != names.end(),
           "its directory lists it");
    expect(std::is_sorted(names.begin(), names.end()), "names are sorted");
    expect(guest.status(room).kind == FileKind::directory, "a directory is a directory");
    expect(throws([&] { static_cast<void>(guest.read(room, limit)); }), "it cannot be read");
    expect(throws([&] { guest.write(room + "/no/such/file", "x", 0644); }),
           "directories are not made by themselves");

    guest.remove(path);
    expect(guest.status(path).kind == FileKind::absent, "a removed file is absent");
    expect(guest.free_bytes("/") > 0, "there is room on the disk");
    expect(guest.disk_count() == 1, "there is one disk");
    expect(guest.read_disk(0, 0, 512).size() == 512, "the disk has a first sector");
    expect(guest.disk_name(0).starts_with("/dev/disk/guestfs/"), "the disk is named by its label");

    const std::string directory = room + "/conformance-directory";
    guest.make_directory(directory);
    expect(guest.status(directory).kind == FileKind::directory, "a made directory is there");
    guest.write(directory + "/one", content, 0644);
    guest.copy_file(directory + "/one", directory + "/two");
    expect(guest.read(directory + "/two", limit) == content, "a copied file has every byte");
    expect(throws([&] { guest.copy_file(directory + "/none", directory + "/two"); }),
           "what is absent cannot be copied");
    guest.make_link(directory + "/link", "one");
    expect(guest.status(directory + "/link").kind == FileKind::symlink, "a link is not followed");
    expect(guest.link_target(directory + "/link") == "one", "it leads where it was told to");
    expect(throws([&] { static_cast<void>(guest.link_target(directory + "/one")); }),
           "a file leads nowhere");
    expect(throws([&] { guest.make_link(directory + "/link", "two"); }),
           "a name that is taken cannot become a link");
    guest.remove(directory + "/link");
    expect(guest.status(directory + "/one").kind == FileKind::file, "its end leaves the file");
    const std::string way = room + "/conformance-way";
    guest.make_link(way, "conformance-directory");
    expect(guest.names_in(way) == guest.names_in(directory), "a link to a directory lists it");
    expect(guest.read(way + "/one", limit) == content, "and leads to what is in it");
    guest.remove(way);
    guest.label_like(directory + "/one", directory);
    expect(guest.status(directory + "/one").kind == FileKind::file, "labels change nothing else");
}

} // namespace coldspare::fixup
