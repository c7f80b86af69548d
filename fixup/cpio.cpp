#include "fixup/cpio.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <sys/stat.h>

namespace coldspare::fixup {

namespace {

constexpr std::size_t most_name_bytes = std::size_t{32} << 20;
constexpr std::size_t header_bytes = 110; // a magic of 6 digits and 13 numbers of 8
constexpr std::size_t longest_name = 4096;
constexpr std::size_t most_members = 200'000;
constexpr std::uint64_t largest_text = std::uint64_t{64} << 10;
constexpr std::size_t most_text = std::size_t{1} << 20;
constexpr std::string_view trailer = "TRAILER!!!";
constexpr std::size_t mode_field = 1;
constexpr std::size_t size_field = 6;
constexpr std::size_t name_field = 11;

constexpr std::uint64_t padding_of(std::uint64_t size) {
    return (4 - size % 4) % 4;
}

std::optional<std::uint32_t> field(std::string_view header, std::size_t index) {
    const std::string_view digits = header.substr(6 + index * 8, 8);
    std::uint32_t value = 0;
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (failed != std::errc() || end != digits.data() + digits.size()) {
        return std::nullopt;
    }
    return value;
}

void append_member(const CpioMember& member, unsigned number, std::string& archive) {
    const bool directory = (member.mode & S_IFMT) == S_IFDIR;
    const std::array<std::size_t, 13> fields{
        number, member.mode, 0, 0, directory ? 2U : 1U,    0, member.content.size(),
        0,      0,           0, 0, member.name.size() + 1, 0};
    archive += "070701";
    for (const std::size_t value : fields) {
        archive += fmt::format("{:08x}", value);
    }
    archive.append(member.name).append(1, '\0');
    archive.append(padding_of(header_bytes + member.name.size() + 1), '\0');
    archive.append(member.content).append(padding_of(member.content.size()), '\0');
}

std::string_view plain(std::string_view name) {
    while (name.starts_with("./") || name.starts_with('/')) {
        name.remove_prefix(name.starts_with('/') ? 1 : 2);
    }
    return name;
}

} // namespace

std::string write_cpio(std::span<const CpioMember> members) {
    std::string archive;
    unsigned number = 1;
    for (const CpioMember& member : members) {
        append_member(member, number++, archive);
    }
    append_member({.name = std::string(trailer)}, 0, archive);
    return archive;
}

void CpioScanner::begin_header() {
    state_ = State::header;
    buffer_.clear();
    needed_ = header_bytes;
}

std::size_t CpioScanner::collect(std::string_view bytes) {
    const std::size_t part = std::min(bytes.size(), needed_ - buffer_.size());
    buffer_.append(bytes.substr(0, part));
    return part;
}

void CpioScanner::take_header() {
    const std::string_view header = buffer_;
    const std::optional<std::uint32_t> mode = field(header, mode_field);
    const std::optional<std::uint32_t> size = field(header, size_field);
    const std::optional<std::uint32_t> name = field(header, name_field);
    if ((!header.starts_with("070701") && !header.starts_with("070702")) || !mode || !size ||
        !name) {
        problem_ = "there is no cpio header where one must be";
        return;
    }
    if (*name == 0 || *name > longest_name) {
        problem_ = fmt::format("a name in it has {} bytes", *name);
        return;
    }
    mode_ = *mode;
    name_size_ = *name;
    content_left_ = *size;
    padding_ = padding_of(*size);
    state_ = State::name;
    buffer_.clear();
    needed_ = name_size_ + padding_of(header_bytes + name_size_);
}

void CpioScanner::take_name() {
    const std::string_view name =
        plain(std::string_view(buffer_).substr(0, std::min(buffer_.find('\0'), name_size_)));
    if (name == trailer) {
        state_ = State::rest;
        return;
    }
    if (listing_.members.size() >= most_members) {
        problem_ = fmt::format("it has more than {} members", most_members);
        return;
    }
    name_bytes_ += name.size();
    if (name_bytes_ > most_name_bytes) {
        problem_ = "the names of its members are too long";
        return;
    }
    listing_.members[std::string(name)] = mode_;
    text_ = nullptr;
    if (content_left_ <= largest_text && text_bytes_ + content_left_ <= most_text &&
        is_wanted_(name)) {
        text_bytes_ += content_left_;
        text_ = &listing_.texts[std::string(name)];
        text_->clear();
    }
    if (content_left_ == 0) {
        begin_header();
        return;
    }
    state_ = State::content;
}

std::size_t CpioScanner::pass_content(std::string_view bytes) {
    std::uint64_t& left = content_left_ > 0 ? content_left_ : padding_;
    const std::size_t part = std::min<std::uint64_t>(bytes.size(), left);
    if (text_ != nullptr && content_left_ > 0) {
        text_->append(bytes.substr(0, part));
    }
    left -= part;
    if (content_left_ == 0 && padding_ == 0) {
        begin_header();
    }
    return part;
}

std::size_t CpioScanner::feed(std::string_view bytes) {
    std::size_t at = 0;
    bool begun = false;
    while (at < bytes.size() && problem_.empty()) {
        const std::string_view rest = bytes.substr(at);
        switch (state_) {
        case State::rest:
            if (begun) {
                return at;
            }
            if (rest.front() == '\0') {
                ++at;
            } else {
                begin_header();
            }
            break;
        case State::header:
            at += collect(rest);
            if (buffer_.size() == needed_) {
                take_header();
            }
            break;
        case State::name:
            at += collect(rest);
            if (buffer_.size() == needed_) {
                take_name();
                begun = true;
            }
            break;
        case State::content:
            at += pass_content(rest);
            break;
        }
    }
    return problem_.empty() ? at : 0;
}

} // namespace coldspare::fixup
