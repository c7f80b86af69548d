#include "clone/saved_ends.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/disk.hpp"
#include "clone/target_layout.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fcntl.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

std::string read_piece(int fd, Range range) {
    std::string bytes(static_cast<std::size_t>(range.length), '\0');
    const std::span<std::byte> into = std::as_writable_bytes(std::span(bytes));
    if (read_at(fd, range.offset, into) != into.size()) {
        throw Error("it ends early");
    }
    return bytes;
}

/// The two ends; of a small device they share bytes.
struct Ends {
    Range first;
    Range last;
};

Ends ends_of(std::uint64_t size) {
    const std::uint64_t length = std::min(size, saved_length);
    return {{0, length}, {size - length, length}};
}

/// "NAME-20261122T030514Z", with a number behind it if that is taken.
fs::path free_name(const fs::path& directory, const std::string& name) {
    std::string stamp = utc_timestamp();
    std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
    fs::path path = directory / fmt::format("{}-{}", name, stamp);
    for (unsigned i = 2; fs::exists(path.string() + ".first"); ++i) {
        path = directory / fmt::format("{}-{}-{}", name, stamp, i);
    }
    return path;
}

nlohmann::json to_json(const fs::path& file, Range range) {
    return {{"file", file.filename().string()}, {"offset", range.offset}, {"length", range.length}};
}

} // namespace

SavedEnds save_ends(const fs::path& device, const fs::path& state_dir) {
    const DiskFacts facts = read_disk_facts(device);
    const Ends ends = ends_of(facts.size);
    std::string first;
    std::string last;
    try {
        const Fd fd = open_file(device, O_RDONLY);
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED); // what its partitions wrote
        first = read_piece(fd.get(), ends.first);
        last = read_piece(fd.get(), ends.last);
    } catch (const Error& error) {
        throw refusal(fmt::format("overwrite '{}': its first and last MiB cannot be read, to be "
                                  "saved: {}",
                                  device.string(), error.message()),
                      "a disk that cannot be read should not keep a copy: choose another target");
    }
    try {
        const std::string none = "choose another place for them with --state-dir";
        make_parent_directories(state_dir / "saved" / "x", none);
        const std::string base = free_name(state_dir / "saved", name_in_state(device)).string();
        SavedEnds saved{base + ".json", base + ".first", base + ".last"};
        constexpr mode_t for_root = 0600; // keys of encrypted disks stand in their first bytes
        write_file_atomically(saved.first, first, for_root);
        write_file_atomically(saved.last, last, for_root);
        const nlohmann::json description{{"format", 1},
                                         {"saved", utc_timestamp()},
                                         {"device", facts.name},
                                         {"model", facts.model},
                                         {"serial", facts.serial},
                                         {"wwn", facts.wwn},
                                         {"size", facts.size},
                                         {"logical_sector", facts.logical_sector},
                                         {"first", to_json(saved.first, ends.first)},
                                         {"last", to_json(saved.last, ends.last)}};
        write_file_atomically(
            saved.description,
            description.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
            for_root);
        return saved;
    } catch (Error& error) {
        error.prepend(fmt::format("saving the first and last MiB of '{}'", device.string()));
        throw;
    }
}

bool ends_are_of(const fs::path& device, const Manifest& clone) {
    try {
        if (clone.view) { // Its table is what stands at both ends.
            return !clone.table.empty() && has_its_table(*open_for_verify(device), clone);
        }
        const std::uint64_t size = read_disk_facts(device).size;
        const Ends ends = ends_of(size);
        const Fd fd = open_file(device, O_RDONLY);
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
        const std::uint64_t block_size = clone.geometry.block_size;
        for (const Range end : {ends.first, ends.last}) {
            for (std::uint64_t at = end.offset / block_size * block_size;
                 at < std::min(end.end(), clone.geometry.size); at += block_size) {
                const std::string block = read_piece(fd.get(), {at, clone.geometry.length_at(at)});
                if (hash_block(as_byte_span(block)) !=
                    clone.leaves[static_cast<std::size_t>(at / block_size)]) {
                    return false;
                }
            }
        }
        return true;
    } catch (const Error&) {
        return false;
    }
}

} // namespace coldspare::clone
