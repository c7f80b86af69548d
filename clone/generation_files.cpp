#include "clone/generation_files.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/file_identity.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <unistd.h>

namespace coldspare::clone::generation {

unsigned number_of(const fs::path& image, const fs::path& generation) {
    const std::string start = image.filename().string() + std::string(suffix);
    const std::string name = generation.filename().string();
    if (!name.starts_with(start)) {
        return 0;
    }
    const std::string_view digits = std::string_view(name).substr(start.size());
    unsigned number = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
    const bool plain =
        error == std::errc() && end == digits.end() && digits.size() <= 9 && digits.front() != '0';
    return plain ? number : 0;
}

fs::path directory_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

fs::path linked_generation(const fs::path& image) {
    std::error_code failed;
    const fs::path named = fs::read_symlink(image, failed);
    if (failed || named.has_parent_path() || number_of(image, named) == 0) {
        return {};
    }
    return image.parent_path() / named;
}

void replace_link(const fs::path& link, const fs::path& beside) {
    const fs::path fresh = fmt::format("{}.{}.new", link.string(), ::getpid());
    if (fs::is_symlink(fs::symlink_status(fresh))) { // Of a run that crashed.
        ::unlink(fresh.c_str());
    }
    if (::symlink(beside.filename().c_str(), fresh.c_str()) != 0 ||
        ::rename(fresh.c_str(), link.c_str()) != 0) {
        throw system_error(fmt::format("cannot link '{}' to '{}'", link.string(), beside.string()),
                           errno);
    }
    sync_parent_directory(link);
}

void rename_durably(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) {
        throw system_error(fmt::format("cannot rename '{}' to '{}'", from.string(), to.string()),
                           errno);
    }
    sync_parent_directory(to);
}

void name_twice(const fs::path& path, const fs::path& second) {
    const bool is_named = ::link(path.c_str(), second.c_str()) == 0 || errno == ENOENT ||
                          (errno == EEXIST && identity_of(path) == identity_of(second));
    if (!is_named) {
        throw system_error(fmt::format("cannot link '{}' to '{}'", second.string(), path.string()),
                           errno);
    }
    sync_parent_directory(second);
}

fs::path overlay_of(const fs::path& image) {
    return image.string() + ".fixup.qcow2";
}

fs::path report_of(const fs::path& image) {
    return image.string() + ".fixup.json";
}

fs::path pending_report_of(const fs::path& image) {
    return image.string() + ".fixup.json.next";
}

bool is_written_to(const fs::path& overlay, const fs::path& report) {
    return fs::exists(overlay) &&
           (!fs::exists(report) || fs::last_write_time(overlay) > fs::last_write_time(report));
}

std::optional<Manifest> readable_manifest(const fs::path& generation) {
    try {
        return read_manifest(manifest_path(generation, {}));
    } catch (const Error&) {
        return std::nullopt;
    }
}

fs::path mark_of(const fs::path& generation) {
    return generation.string() + ".given-up";
}

void give_up(const fs::path& generation) {
    write_file_atomically(mark_of(generation), "");
}

bool has_data(const fs::path& path) {
    const Fd fd = open_file(path, O_RDONLY);
    return ::lseek(fd.get(), 0, SEEK_DATA) >= 0 || errno != ENXIO;
}

} // namespace coldspare::clone::generation
