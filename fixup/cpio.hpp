#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace coldspare::fixup {

/// What an initramfs holds. Names are as in the archive, without a leading "./" or '/'; of a name
/// that comes twice the last counts, as for the kernel.
struct ArchiveListing {
    std::map<std::string, mode_t> members;
    std::map<std::string, std::string> texts; ///< the contents that were asked for
};

/// A file, directory (mode 040755) or symbolic link (0120777, its content is where it leads).
struct CpioMember {
    std::string name;
    mode_t mode = 0;
    std::string content;
    friend bool operator==(const CpioMember&, const CpioMember&) = default;
};

/// A cpio archive in the "newc" form that the kernel reads (its Documentation/driver-api/
/// early-userspace/buffer-format.rst), with its trailer. All belongs to root.
[[nodiscard]] std::string write_cpio(std::span<const CpioMember> members);

/// Lists such archives as their bytes come by; contents are skipped. At most 200 000 members, names
/// of 4096 bytes, and of texts 64 KiB each and 1 MiB in all.
class CpioScanner {
public:
    /// `is_wanted`: whether a name's content is kept in the listing.
    explicit CpioScanner(std::function<bool(std::string_view)> is_wanted)
        : is_wanted_(std::move(is_wanted)) {}

    /// Takes bytes up to the end of an archive at most, and says how many. Zeros between archives
    /// are padding. Takes none when there is a problem.
    [[nodiscard]] std::size_t feed(std::string_view bytes);

    /// Between archives, where the next one may be packed otherwise.
    [[nodiscard]] bool at_rest() const { return state_ == State::rest; }
    /// Why it went no further, or empty.
    [[nodiscard]] const std::string& problem() const { return problem_; }
    [[nodiscard]] ArchiveListing& listing() { return listing_; }

private:
    enum class State { rest, header, name, content };

    [[nodiscard]] std::size_t collect(std::string_view bytes);
    [[nodiscard]] std::size_t pass_content(std::string_view bytes);
    void take_header();
    void take_name();
    void begin_header();

    std::function<bool(std::string_view)> is_wanted_;
    ArchiveListing listing_;
    std::string problem_;
    State state_ = State::rest;
    std::string buffer_; ///< of a header or a name
    std::size_t needed_ = 0;
    std::size_t name_size_ = 0;
    std::uint64_t content_left_ = 0; ///< with its padding
    std::uint64_t padding_ = 0;
    mode_t mode_ = 0;
    std::string* text_ = nullptr; ///< in the listing, while it is filled
    std::size_t text_bytes_ = 0;
    std::size_t name_bytes_ = 0;
};

} // namespace coldspare::fixup
