#include "clone/journal.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/digest.hpp"
#include "clone/io_sizes.hpp"
#include "clone/little_endian.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

using nlohmann::json;

// magic ‖ u32 length of the JSON ‖ JSON ‖ u64 check ‖ records
// record: u32 mark ‖ u32 count ‖ count × (u64 offset ‖ u64 length) ‖ u64 check
constexpr std::string_view magic = "COLDSPARE JOURNAL 1\n";
constexpr std::uint32_t record_mark = 0x43455243;
constexpr std::size_t record_head = 8;
constexpr std::size_t range_bytes = 16;
constexpr std::size_t check_bytes = 8;
constexpr std::size_t longest_json = 64 * 1024;
constexpr std::size_t longest_journal = 64 << 20;

Error damaged(std::string_view reason) {
    return Error(fmt::format("the journal is damaged: {}", reason),
                 "it cannot tell how far the copy was: clone again with --erase");
}

std::uint64_t check_of(std::string_view bytes) {
    return hash_header(as_byte_span(bytes));
}

std::string encode_head(const JournalHead& head) {
    const json object{{"size", head.geometry.size},
                      {"block_size", head.geometry.block_size},
                      {"source",
                       {{"name", head.source_name},
                        {"model", head.source_model},
                        {"serial", head.source_serial},
                        {"wwn", head.source_wwn}}},
                      {"target",
                       {{"inode", head.target_inode},
                        {"born", head.target_born},
                        {"serial", head.target_serial},
                        {"wwn", head.target_wwn}}}};
    const std::string text = object.dump(-1, ' ', false, json::error_handler_t::replace);
    std::string bytes(magic);
    append_little_endian(bytes, static_cast<std::uint32_t>(text.size()));
    bytes += text;
    append_little_endian(bytes, check_of(bytes));
    return bytes;
}

std::string encode_record(std::span<const Range> ranges) {
    std::string bytes;
    append_little_endian(bytes, record_mark);
    append_little_endian(bytes, static_cast<std::uint32_t>(ranges.size()));
    for (const Range& range : ranges) {
        append_little_endian(bytes, range.offset);
        append_little_endian(bytes, range.length);
    }
    append_little_endian(bytes, check_of(bytes));
    return bytes;
}

JournalHead read_head(std::string_view text) {
    const json object = json::parse(text.begin(), text.end(), nullptr, false);
    try {
        JournalHead head;
        head.geometry.size = object.at("size").get<std::uint64_t>();
        head.geometry.block_size = object.at("block_size").get<std::uint32_t>();
        const json& source = object.at("source");
        head.source_name = source.at("name").get<std::string>();
        head.source_model = source.at("model").get<std::string>();
        head.source_serial = source.at("serial").get<std::string>();
        head.source_wwn = source.at("wwn").get<std::string>();
        const json& target = object.at("target");
        head.target_inode = target.at("inode").get<std::uint64_t>();
        head.target_born = target.at("born").get<std::uint64_t>();
        head.target_serial = target.at("serial").get<std::string>();
        head.target_wwn = target.at("wwn").get<std::string>();
        if (head.geometry.size == 0 || head.geometry.size > largest_disk_size ||
            !is_block_size(head.geometry.block_size) || head.geometry.block_count() > most_blocks) {
            throw damaged("its geometry is impossible");
        }
        return head;
    } catch (const json::exception&) {
        throw damaged("its description is not readable");
    }
}

/// The length of the record that `bytes` begin with, or 0 if it is not whole; its ranges go to
/// `ranges`.
std::size_t read_record(std::string_view bytes, const Geometry& geometry,
                        std::vector<Range>& ranges) {
    if (bytes.size() < record_head || read_little_endian<std::uint32_t>(bytes, 0) != record_mark) {
        return 0;
    }
    const std::size_t count = read_little_endian<std::uint32_t>(bytes, 4);
    if (count > (bytes.size() - record_head) / range_bytes) {
        return 0;
    }
    const std::size_t length = record_head + count * range_bytes;
    if (bytes.size() < length + check_bytes ||
        read_little_endian<std::uint64_t>(bytes, length) != check_of(bytes.substr(0, length))) {
        return 0;
    }
    std::vector<Range> found;
    for (std::size_t at = record_head; at < length; at += range_bytes) {
        const Range range{read_little_endian<std::uint64_t>(bytes, at),
                          read_little_endian<std::uint64_t>(bytes, at + 8)};
        const bool whole_blocks =
            range.offset % geometry.block_size == 0 &&
            (range.length % geometry.block_size == 0 || range.end() == geometry.size);
        if (range.length == 0 || !inside(range, geometry.size) || !whole_blocks) {
            return 0;
        }
        found.push_back(range);
    }
    ranges.insert(ranges.end(), found.begin(), found.end());
    return length + check_bytes;
}

} // namespace

JournalContent parse_journal(std::string_view content) {
    if (!content.starts_with(magic)) {
        throw damaged("it does not begin like one");
    }
    const std::size_t text_at = magic.size() + sizeof(std::uint32_t);
    if (content.size() < text_at) {
        throw damaged("it is too short");
    }
    const std::size_t length = read_little_endian<std::uint32_t>(content, magic.size());
    if (length > longest_json || content.size() - text_at < length + check_bytes) {
        throw damaged("it is too short");
    }
    const std::size_t check_at = text_at + length;
    if (read_little_endian<std::uint64_t>(content, check_at) !=
        check_of(content.substr(0, check_at))) {
        throw damaged("its checksum does not match");
    }
    JournalContent journal{.head = read_head(content.substr(text_at, length))};
    std::size_t at = check_at + check_bytes;
    std::vector<Range> ranges;
    while (const std::size_t record =
               read_record(content.substr(at), journal.head.geometry, ranges)) {
        at += record;
    }
    journal.durable = joined(std::move(ranges));
    journal.good_bytes = at;
    return journal;
}

std::optional<JournalContent> read_journal(const fs::path& path) {
    if (!fs::exists(path)) {
        return std::nullopt;
    }
    try {
        return parse_journal(read_file(path, longest_journal));
    } catch (Error& error) {
        error.prepend(fmt::format("'{}'", path.string()));
        throw;
    }
}

Journal::Journal(fs::path path, JournalHead head, std::uint64_t size)
    : path_(std::move(path)), head_(std::move(head)), fd_(open_file(path_, O_WRONLY)), size_(size) {
}

Journal Journal::create(const fs::path& path, const JournalHead& head) {
    make_parent_directories(path, "choose another with --state-dir");
    const std::string bytes = encode_head(head);
    write_file_atomically(path, bytes, 0600);
    return {path, head, bytes.size()};
}

Journal Journal::reopen(const fs::path& path, const JournalContent& content) {
    Journal journal(path, content.head, content.good_bytes);
    if (::ftruncate(journal.fd_.get(), static_cast<off_t>(content.good_bytes)) != 0) {
        throw system_error(fmt::format("cannot shorten '{}'", path.string()), errno);
    }
    return journal;
}

void Journal::append(std::span<const Range> durable) {
    const std::string bytes = encode_record(durable);
    try {
        write_at(fd_.get(), size_, as_byte_span(bytes));
        if (::fdatasync(fd_.get()) != 0) {
            throw system_error("cannot flush", errno);
        }
    } catch (Error& error) {
        error.prepend(fmt::format("writing the journal '{}'", path_.string()));
        throw;
    }
    size_ += bytes.size();
    if (size_ > long_) {
        shorten();
    }
}

void Journal::shorten() {
    const std::optional<JournalContent> content = read_journal(path_);
    if (!content) {
        throw Error(fmt::format("the journal '{}' was removed", path_.string()));
    }
    const std::string bytes = encode_head(head_) + encode_record(content->durable);
    write_file_atomically(path_, bytes, 0600);
    fd_ = open_file(path_, O_WRONLY);
    size_ = bytes.size();
    // What is long when joined would else be written anew each time.
    long_ = std::max(long_, 2 * size_);
}

} // namespace coldspare::clone
