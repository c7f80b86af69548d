#pragma once

#include "base/error.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace coldspare {

/// A directory that is there for one test.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "coldspare-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw system_error("cannot make a directory for the test", errno);
        }
        path_ = pattern;
    }
    ~TemporaryDirectory() {
        std::error_code none;
        std::filesystem::remove_all(path_, none);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
        return path_ / name;
    }

private:
    std::filesystem::path path_;
};

} // namespace coldspare
