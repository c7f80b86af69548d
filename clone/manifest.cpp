#include "clone/manifest.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/sysfs.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <sys/stat.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

using nlohmann::json;

// magic ‖ u32 length of the JSON ‖ JSON ‖ leaves ‖ SHA-256 of all before
constexpr std::string_view magic = "COLDSPARE MANIFEST 1\n";
constexpr std::size_t length_bytes = 4;
constexpr std::size_t digest_bytes = 32;
constexpr std::size_t longest_json = 64 * 1024;

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
    return {{"created", manifest.created},
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
            {"unreadable", ranges_to_json(manifest.unreadable)}};
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
    manifest.unreadable = ranges_from_json(object, "unreadable", manifest.geometry.size);
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
        for (std::size_t i = 0; i < length_bytes; ++i) {
            head_.push_back(static_cast<char>(description.size() >> (8 * i)));
        }
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

Manifest parse_manifest(std::string_view content) {
    if (!content.starts_with(magic)) {
        throw damaged("it does not begin like one");
    }
    if (content.size() < magic.size() + length_bytes + digest_bytes) {
        throw damaged("it is too short");
    }
    std::size_t length = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) {
        length |= std::size_t{static_cast<unsigned char>(content[magic.size() + i])} << (8 * i);
    }
    const std::size_t fixed = magic.size() + length_bytes + digest_bytes;
    if (length > longest_json || length > content.size() - fixed) {
        throw damaged("it is too short");
    }
    const std::string_view body = content.substr(0, content.size() - digest_bytes);
    const Sha256 digest = sha256(as_byte_span(body));
    if (std::memcmp(digest.data(), content.data() + body.size(), digest.size()) != 0) {
        throw damaged("its checksum does not match");
    }
    Manifest manifest = read_description(content.substr(magic.size() + length_bytes, length));
    const std::string_view leaves = body.substr(magic.size() + length_bytes + length);
    if (leaves.size() % sizeof(Leaf) != 0 ||
        leaves.size() / sizeof(Leaf) != manifest.geometry.block_count()) {
        throw damaged("the number of its hashes does not fit its size");
    }
    manifest.leaves.resize(leaves.size() / sizeof(Leaf));
    std::memcpy(manifest.leaves.data(), leaves.data(), leaves.size());
    if (root_of(manifest.geometry, manifest.leaves) != manifest.root) {
        throw damaged("its root does not match its hashes");
    }
    return manifest;
}

namespace {

/// Beside an image; for a device in the state directory, under a name that stays with the disk.
fs::path path_for(const fs::path& target, const fs::path& state_dir, std::string_view suffix) {
    if (!fs::is_block_file(target)) {
        return fmt::format("{}{}", target.string(), suffix);
    }
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
    return state_dir / "manifests" / fmt::format("{}{}", name, suffix);
}

} // namespace

fs::path manifest_path(const fs::path& target, const fs::path& state_dir) {
    return path_for(target, state_dir, ".manifest");
}

fs::path map_path(const fs::path& target, const fs::path& state_dir) {
    return path_for(target, state_dir, ".map");
}

fs::path journal_path(const fs::path& target, const fs::path& state_dir) {
    return path_for(target, state_dir, ".journal");
}

void write_manifest(const fs::path& path, const Manifest& manifest) {
    make_parent_directories(path, "choose another with --state-dir");
    write_file_atomically(path, Encoded(manifest).pieces());
}

std::optional<Manifest> read_manifest(const fs::path& path) {
    std::error_code none;
    const std::uintmax_t size = fs::file_size(path, none);
    if (none) {
        return std::nullopt;
    }
    constexpr std::uintmax_t largest = most_blocks * sizeof(Leaf) + longest_json + 4096;
    try {
        return parse_manifest(read_file(path, std::min(size, largest)));
    } catch (Error& error) {
        error.prepend(fmt::format("reading '{}'", path.string()));
        throw;
    }
}

} // namespace coldspare::clone
