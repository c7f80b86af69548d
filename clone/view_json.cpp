#include "clone/view_json.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace coldspare::clone {

namespace {

using nlohmann::json;

Error impossible(std::string_view reason) {
    return Error(std::string(reason));
}

const json& list_of(const json& object, const char* name, std::size_t most) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_array() || found->size() > most) {
        throw impossible("its view is not readable");
    }
    return *found;
}

std::uint64_t number_in(const json& row, std::size_t at, std::size_t members) {
    if (!row.is_array() || row.size() != members || !row[at].is_number_unsigned()) {
        throw impossible("its view is not readable");
    }
    return row[at].get<std::uint64_t>();
}

std::string without_zeros_behind(std::span<const std::byte> bytes) {
    while (!bytes.empty() && bytes.back() == std::byte{0}) {
        bytes = bytes.first(bytes.size() - 1);
    }
    return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

TableRegion region_of(const json& row, std::uint64_t disk_size) {
    const Range range{number_in(row, 0, 3), number_in(row, 1, 3)};
    if (!row[2].is_string() || range.length > largest_table || !inside(range, disk_size)) {
        throw impossible("its view keeps impossible bytes");
    }
    const std::optional<std::string> bytes = from_hex(row[2].get_ref<const std::string&>());
    if (!bytes || bytes->size() > range.length) {
        throw impossible("its view keeps impossible bytes");
    }
    TableRegion region{range.offset,
                       std::vector<std::byte>(static_cast<std::size_t>(range.length))};
    std::ranges::copy(as_byte_span(*bytes), region.bytes.begin());
    return region;
}

} // namespace

json view_to_json(const DiskView& view) {
    json moves = json::array();
    for (const Move& move : view.moves) {
        moves.push_back({move.source.offset, move.source.length, move.target});
    }
    json kept = json::array();
    for (const TableRegion& region : view.kept) {
        kept.push_back({region.offset, region.bytes.size(), without_zeros_behind(region.bytes)});
    }
    return {{"moves", moves}, {"kept", kept}};
}

DiskView view_from_json(const json& object, std::uint64_t size) {
    if (!object.is_object()) {
        throw impossible("its view is not readable");
    }
    DiskView view{.size = size};
    for (const json& row : list_of(object, "moves", most_moves)) {
        view.moves.push_back({{number_in(row, 0, 3), number_in(row, 1, 3)}, number_in(row, 2, 3)});
    }
    std::size_t total = 0;
    for (const json& row : list_of(object, "kept", most_regions)) {
        view.kept.push_back(region_of(row, size));
        total += view.kept.back().bytes.size();
        if (total > largest_table) {
            throw impossible("its view keeps too much");
        }
    }
    if (const std::string_view fault = fault_of(view); !fault.empty()) {
        throw impossible(fault);
    }
    return view;
}

} // namespace coldspare::clone
