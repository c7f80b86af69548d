#pragma once

#include "base/handle.hpp"

#include <cstdint>
#include <filesystem>
#include <stop_token>

namespace coldspare::fixup {

/// Enough of a file to see that something wrote to it.
struct FileStamp {
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0; ///< since the epoch
    friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

/// The stamp of a file that exists. Throws Error.
[[nodiscard]] FileStamp stamp_of(const std::filesystem::path& path);

/// What may lie under an overlay.
enum class BaseKind { file, file_or_device };

/// The clone under the overlay: open for reading, and locked (flock(2), shared) against whoever
/// would write it for as long as this lives.
class BaseImage {
public:
    /// Throws Error: refused if it is not a raw image or a virtual machine has it open for writing,
    /// `locked` if something holds the lock.
    BaseImage(std::filesystem::path path, std::stop_token stop, BaseKind kind = BaseKind::file);

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] const FileStamp& stamp() const { return stamp_; }
    /// Throws Error if the file is not what it was when it was opened: the overlay is worth
    /// nothing.
    void check_untouched() const;

private:
    std::filesystem::path path_;
    Fd fd_;
    Fd alone_; ///< of a device: nobody mounts it, or makes it part of something, meanwhile
    FileStamp stamp_;
};

/// A qcow2 overlay under construction, "PATH.partial". It gets its name only in install(); before
/// that, its end (also by an exception) removes it, and what stood under the name stays as it was.
/// Until keep() its end removes the installed one, too.
class NewOverlay {
public:
    /// Creates it, empty, over `base`. Throws Error, `locked` if another run builds the same one.
    NewOverlay(std::filesystem::path path, const BaseImage& base, std::stop_token stop);
    ~NewOverlay();
    NewOverlay(const NewOverlay&) = delete;
    NewOverlay& operator=(const NewOverlay&) = delete;

    [[nodiscard]] const std::filesystem::path& partial() const { return partial_; }
    /// Checks its structure and makes its content durable. Throws Error.
    void check(std::stop_token stop) const;
    /// Renames it into place, over what stood there. Throws Error.
    void install();
    /// It is finished: it stays.
    void keep() { state_ = State::kept; }

private:
    enum class State { partial, installed, kept };

    [[nodiscard]] Fd lock_new_file() const;
    void create(const BaseImage& base, std::stop_token stop) const;

    std::filesystem::path path_;
    std::filesystem::path partial_;
    Fd lock_;
    State state_ = State::partial;
};

/// Throws a refusal if a virtual machine has the image open.
void check_not_in_use(const std::filesystem::path& image, std::stop_token stop);

/// How `overlay` should name `base`: by the bare name beside it, so that the two can move together;
/// by the absolute path from anywhere else.
[[nodiscard]] std::string backing_name(const std::filesystem::path& overlay,
                                       const std::filesystem::path& base);

} // namespace coldspare::fixup
