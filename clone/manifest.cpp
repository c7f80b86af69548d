#include "clone/manifest.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/generations.hpp"
#include "clone/little_endian.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/sysfs.hpp"
#include "clone/view_json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <functional>
#include <sys/stat.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

using nlohmann::json;

// magic ‖ u32 length of the JSON ‖ JSON ‖ leaves ‖ SHA-256 of all before
constexpr std::string_view magic = "COLDSPARE MANIFEST 1\n";
constexpr std::size_t length_bytes = 4;
constexpr std::size_t digest_bytes = 32;
constexpr std::size_t longest_json = 4 << 20;

Error damaged(std::string_view reason) {
    return Error(fmt::format("the manifest is damaged: {}", reason),
                 "it cannot vouch for the copy: clone again");
}

std::string text_of(const json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string()) {
        throw damaged(fmt::format("'{}' is missing", name));
    }
    return printable(found->get<std::string>());
}

std::uint64_t number_of(const json& object, const char* name, std::uint64_t limit) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number_unsigned() ||
        found->get<std::uint64_t>() > limit) {
        throw damaged(fmt::format("'{}' is missing or out of range", name));
    }
    return found->get<std::uint64_t>();
}

// A disk with more is hardly a copy; the map file has them all.
constexpr std::size_t most_unreadable = 1000;

json ranges_to_json(const std::vector<Range>& ranges) {
    json list = json::array();
    for (const Range& range : ranges) {
        if (list.size() == most_unreadable) {
            break;
        }
        list.push_back({range.offset, range.length});
    }
    return list;
}

std::vector<Range> ranges_from_json(const json& object, const char* name, std::uint64_t size) {
    std::vector<Range> ranges;
    const auto found = object.find(name);
    if (found == object.end()) {
        return ranges; // Written before this was remembered.
    }
    const auto is_number = [](const json& value) { return value.is_number_unsigned(); };
    if (!found->is_array() || found->size() > most_unreadable) {
        throw damaged(fmt::format("'{}' is not a list of up to {}", name, most_unreadable));
    }
    for (const json& item : *found) {
        if (!item.is_array() || item.size() != 2 || !std::ranges::all_of(item, is_number) ||
            !inside({item[0].get<std::uint64_t>(), item[1].get<std::uint64_t>()}, size)) {
            throw damaged(fmt::format("'{}' has an impossible range", name));
        }
        ranges.push_back({item[0].get<std::uint64_t>(), item[1].get<std::uint64_t>()});
    }
    return ranges;
}

json describe(const Manifest& manifest) {
    json object{{"created", manifest.created},
                {"program", manifest.program},
                {"size", manifest.geometry.size},
                {"block_size", manifest.geometry.block_size},
                {"root", hex(manifest.root)},
                {"source",
                 {{"name", manifest.source_name},
                  {"model", manifest.source_model},
                  {"serial", manifest.source_serial},
                  {"wwn", manifest.source_wwn},
                  {"logical_sector", manifest.logical_sector}}},
                {"target",
                 {{"inode", manifest.target_inode},
                  {"born", manifest.target_born},
                  {"seal", manifest.seal}}},
                {"full_copy_ms", manifest.full_copy_ms},
                {"unreadable", ranges_to_json(manifest.unreadable)}};
    if (manifest.view) {
        object["view"] = view_to_json(*manifest.view);
    }
    for (const WrittenTable& table : manifest.table) {
        const std::string_view hash(reinterpret_cast<const char*>(table.hash.data()),
                                    table.hash.size());
        object["table"].push_back({table.range.offset, table.range.length, to_hex(hash)});
    }
    for (const Grown& grown : manifest.grown) {
        object["grown"].push_back({grown.number, grown.source.offset, grown.source.length});
    }
    return object;
}

/// The members that are there only if the copy is not the same bytes at the same places.
void read_view(const json& object, Manifest& manifest) {
    if (const auto view = object.find("view"); view != object.end()) {
        try {
            manifest.view = view_from_json(*view, manifest.geometry.size);
        } catch (const Error& error) {
            throw damaged(error.message());
        }
    }
    const json none = json::array();
    const json& table = object.contains("table") ? object["table"] : none;
    if (!table.is_array() || table.size() > most_regions) {
        throw damaged("'table' is not readable");
    }
    for (const json& row : table) {
        if (!row.is_array() || row.size() != 3 || !row[0].is_number_unsigned() ||
            !row[1].is_number_unsigned() || !row[2].is_string()) {
            throw damaged("'table' is not readable");
        }
        const Range range{row[0].get<std::uint64_t>(), row[1].get<std::uint64_t>()};
        const std::optional<std::string> hash = from_hex(row[2].get<std::string>());
        if (range.length == 0 || range.length > largest_table ||
            !inside(range, largest_disk_size) || !hash || hash->size() != sizeof(Leaf)) {
            throw damaged("'table' has an impossible range");
        }
        WrittenTable written{.range = range};
        std::ranges::copy(as_byte_span(*hash), written.hash.begin());
        manifest.table.push_back(written);
    }
    const json& grown = object.contains("grown") ? object["grown"] : none;
    if (!grown.is_array() || grown.size() > most_moves) {
        throw damaged("'grown' is not readable");
    }
    for (const json& row : grown) {
        const auto is_number = [](const json& value) { return value.is_number_unsigned(); };
        if (!row.is_array() || row.size() != 3 || !std::ranges::all_of(row, is_number) ||
            !inside({row[1].get<std::uint64_t>(), row[2].get<std::uint64_t>()},
                    manifest.geometry.size)) {
            throw damaged("'grown' has an impossible range");
        }
        manifest.grown.push_back(
            {row[0].get<unsigned>(), {row[1].get<std::uint64_t>(), row[2].get<std::uint64_t>()}});
    }
}

Manifest read_description(std::string_view text) {
    const json object = json::parse(text.begin(), text.end(), nullptr, false);
    if (!object.is_object() || !object.contains("source") || !object["source"].is_object()) {
        throw damaged("its description is not readable");
    }
    Manifest manifest;
    manifest.geometry.size = number_of(object, "size", largest_disk_size);
    manifest.geometry.block_size =
        static_cast<std::uint32_t>(number_of(object, "block_size", largest_block_size));
    if (manifest.geometry.size == 0 || !is_block_size(manifest.geometry.block_size) ||
        manifest.geometry.block_count() > most_blocks) {
        throw damaged("its geometry is impossible");
    }
    manifest.created = text_of(object, "created");
    manifest.program = text_of(object, "program");
    const json& source = object["source"];
    manifest.source_name = text_of(source, "name");
    manifest.source_model = text_of(source, "model");
    manifest.source_serial = text_of(source, "serial");
    manifest.source_wwn = text_of(source, "wwn");
    manifest.logical_sector =
        static_cast<std::uint32_t>(number_of(source, "logical_sector", 1U << 20));
    if (const auto target = object.find("target"); target != object.end()) {
        if (!target->is_object()) {
            throw damaged("'target' is not an object");
        }
        manifest.target_inode = number_of(*target, "inode", UINT64_MAX);
        manifest.target_born = number_of(*target, "born", UINT64_MAX);
        if (target->contains("seal")) {
            manifest.seal = text_of(*target, "seal");
        }
    }
    if (object.contains("full_copy_ms")) {
        manifest.full_copy_ms = number_of(object, "full_copy_ms", UINT64_MAX);
    }
    manifest.unreadable = ranges_from_json(object, "unreadable", manifest.geometry.size);
    read_view(object, manifest);
    const std::optional<std::string> root = from_hex(text_of(object, "root"));
    if (!root || root->size() != digest_bytes) {
        throw damaged("'root' is not a digest");
    }
    std::ranges::copy(as_byte_span(*root), manifest.root.begin());
    return manifest;
}

} // namespace

namespace {

std::string_view text_view(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The file's pieces; the leaves are the manifest's own, because they are many.
class Encoded {
public:
    explicit Encoded(const Manifest& manifest) : head_(magic) {
        const std::string description =
            describe(manifest).dump(-1, ' ', false, json::error_handler_t::replace);
        append_little_endian(head_, static_cast<std::uint32_t>(description.size()));
        head_ += description;
        pieces_ = {head_, text_view(std::as_bytes(std::span(manifest.leaves))), {}};
        digest_ = sha256_of_pieces(std::span(pieces_).first(2));
        pieces_[2] = text_view(digest_);
    }
    Encoded(const Encoded&) = delete;
    Encoded& operator=(const Encoded&) = delete;

    [[nodiscard]] std::span<const std::string_view> pieces() const { return pieces_; }

private:
    std::string head_;
    Sha256 digest_{};
    std::array<std::string_view, 3> pieces_;
};

} // namespace

std::string encode_manifest(const Manifest& manifest) {
    const Encoded encoded(manifest);
    std::string content;
    for (const std::string_view piece : encoded.pieces()) {
        content += piece;
    }
    return content;
}

namespace {

/// Fills a span from an offset of what is parsed; all of it is there.
using ReadAt = std::function<void(std::uint64_t, std::span<std::byte>)>;

std::span<std::byte> writable(std::string& text) {
    return std::as_writable_bytes(std::span(text));
}

/// The leaves go straight to their place: they are most of the memory of a large disk.
Manifest parse(std::uint64_t size, const ReadAt& read) {
    constexpr std::size_t head_bytes = magic.size() + length_bytes;
    std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(size, head_bytes)), '\0');
    read(0, writable(head));
    if (!head.starts_with(magic)) {
        throw damaged("it does not begin like one");
    }
    if (size < head_bytes + digest_bytes) {
        throw damaged("it is too short");
    }
    const std::size_t length = read_little_endian<std::uint32_t>(head, magic.size());
    if (length > longest_json || length > size - head_bytes - digest_bytes) {
        throw damaged("it is too short");
    }
    head.resize(head_bytes + length);
    read(0, writable(head));
    const std::uint64_t body = size - head.size() - digest_bytes;
    std::vector<Leaf> leaves(static_cast<std::size_t>(body / sizeof(Leaf)));
    read(head.size(), std::as_writable_bytes(std::span(leaves)));
    std::string rest(static_cast<std::size_t>(body % sizeof(Leaf)), '\0');
    read(head.size() + leaves.size() * sizeof(Leaf), writable(rest));
    Sha256 digest;
    read(size - digest_bytes, digest);
    const std::array<std::string_view, 3> pieces{head, text_view(std::as_bytes(std::span(leaves))),
                                                 rest};
    if (sha256_of_pieces(pieces) != digest) {
        throw damaged("its checksum does not match");
    }
    Manifest manifest = read_description(std::string_view(head).substr(head_bytes));
    if (!rest.empty() || leaves.size() != manifest.geometry.block_count()) {
        throw damaged("the number of its hashes does not fit its size");
    }
    manifest.leaves = std::move(leaves);
    if (root_of(manifest.geometry, manifest.leaves) != manifest.root) {
        throw damaged("its root does not match its hashes");
    }
    return manifest;
}

} // namespace

Manifest parse_manifest(std::string_view content) {
    return parse(content.size(), [content](std::uint64_t offset, std::span<std::byte> into) {
        std::ranges::copy(as_byte_span(content.substr(offset, into.size())), into.begin());
    });
}

namespace {

/// Beside an image; for a device in the state directory.
fs::path path_for(const fs::path& target, const fs::path& state_dir, std::string_view suffix) {
    if (is_nbd_uri(target)) {
        return state_dir / "manifests" /
               (file_name_of(parse_nbd_uri(target)) + std::string(suffix));
    }
    if (!fs::is_block_file(target)) {
        return fmt::format("{}{}", resolve_generation(target).string(), suffix);
    }
    return state_dir / "manifests" / fmt::format("{}{}", name_in_state(target), suffix);
}

} // namespace

std::string name_in_state(const fs::path& target) {
    const DiskFacts facts = read_disk_facts(target);
    std::string name = !facts.wwn.empty()      ? facts.wwn
                       : !facts.serial.empty() ? facts.model + "-" + facts.serial
                                               : std::string();
    struct stat status {};
    if (name.empty() || ::stat(target.c_str(), &status) != 0) {
        name = fs::canonical(target).filename().string();
    } else if (const unsigned part = sysfs::partition_number(status.st_rdev); part != 0) {
        // A partition has its disk's serial number. The kernel's name of a disk changes at reboots.
        name += fmt::format("-part{}", part);
    }
    for (char& c : name) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || c == '-' || c == '.';
        c = plain ? c : '_';
    }
    return name;
}

fs::path manifest_path(const fs::path& target, const fs::path& state_dir) {
    return path_for(target, state_dir, ".manifest");
}

fs::path map_path(const fs::path& target, const fs::path& state_dir) {
    return path_for(target, state_dir, ".map");
}

fs::path journal_path(const fs::path& target, const fs::path& state_dir) {
    return path_for(target, state_dir, ".journal");
}

fs::path inventory_path(const fs::path& target, const fs::path& state_dir) {
    return path_for(target, state_dir, ".inventory.json");
}

void write_manifest(const fs::path& path, const Manifest& manifest) {
    make_parent_directories(path, "choose another with --state-dir");
    write_file_atomically(path, Encoded(manifest).pieces());
}

std::optional<Manifest> read_manifest(const fs::path& path) {
    if (!fs::exists(path)) {
        return std::nullopt;
    }
    const Fd fd = open_file(path, O_RDONLY);
    constexpr std::uint64_t largest = most_blocks * sizeof(Leaf) + longest_json + 4096;
    try {
        const std::uint64_t size = fs::file_size(path);
        if (size > largest) {
            throw damaged("it is too long");
        }
        return parse(size, [&fd](std::uint64_t offset, std::span<std::byte> into) {
            if (read_at(fd.get(), offset, into) != into.size()) {
                throw damaged("it changes while it is read");
            }
        });
    } catch (Error& error) {
        error.prepend(fmt::format("reading '{}'", path.string()));
        throw;
    }
}

} // namespace coldspare::clone
