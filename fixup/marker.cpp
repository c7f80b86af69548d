#include "fixup/marker.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace coldspare::fixup {

namespace {

// Members in the order in which they are written: a person reads this.
using Json = nlohmann::ordered_json;

constexpr std::size_t largest_text = std::size_t{1} << 20;
constexpr std::size_t most_items = 10000;

const Json& list_in(const Json& object, const char* key) {
    const Json& list = object.at(key);
    if (!list.is_array() || list.size() > most_items) {
        throw Json::other_error::create(501, "not a list", &object);
    }
    return list;
}

std::vector<std::string> texts_in(const Json& object, const char* key) {
    return list_in(object, key).get<std::vector<std::string>>();
}

template <typename Item, typename Same>
const Item* find_same(const std::vector<Item>& items, Same same) {
    const auto found = std::ranges::find_if(items, same);
    return found == items.end() ? nullptr : &*found;
}

} // namespace

std::string encode_marker(const Marker& marker) {
    Json nics = Json::array();
    for (const MarkedNic& nic : marker.nics) {
        nics.push_back({{"name", nic.name}, {"old_mac", nic.old_mac}, {"mac", nic.mac}});
    }
    Json holds = Json::array();
    for (const MarkedHold& hold : marker.holds) {
        holds.push_back({{"service", hold.service},
                         {"ways", hold.ways},
                         {"release", hold.release},
                         {"restore", hold.restore}});
    }
    Json fixes = Json::array();
    for (const MarkedFix& fix : marker.fixes) {
        fixes.push_back({{"id", fix.id}, {"files", fix.files}});
    }
    const Json object{
        {"format", 1},
        {"about", "this is a cold standby: coldspare-fixup(8) made these changes to the copy of a "
                  "server"},
        {"nics", nics},
        {"holds", holds},
        {"old_initiator_name", marker.old_initiator_name},
        {"initiator_name", marker.initiator_name},
        {"fixes", fixes}};
    return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<Marker> parse_marker(std::string_view text) {
    if (text.size() > largest_text) {
        return std::nullopt;
    }
    const Json object = Json::parse(text, nullptr, false);
    if (!object.is_object()) {
        return std::nullopt;
    }
    try {
        if (object.at("format") != 1) {
            return std::nullopt;
        }
        Marker marker{.old_initiator_name = object.at("old_initiator_name"),
                      .initiator_name = object.at("initiator_name")};
        for (const Json& nic : list_in(object, "nics")) {
            marker.nics.push_back(
                {.name = nic.at("name"), .old_mac = nic.at("old_mac"), .mac = nic.at("mac")});
        }
        for (const Json& hold : list_in(object, "holds")) {
            marker.holds.push_back({.service = hold.at("service"),
                                    .ways = texts_in(hold, "ways"),
                                    .release = texts_in(hold, "release"),
                                    .restore = texts_in(hold, "restore")});
        }
        for (const Json& fix : list_in(object, "fixes")) {
            marker.fixes.push_back({.id = fix.at("id"), .files = texts_in(fix, "files")});
        }
        return marker;
    } catch (const Json::exception&) {
        return std::nullopt;
    }
}

Marker merged(const Marker& older, const Marker& newer) {
    Marker both = newer;
    for (MarkedNic& nic : both.nics) {
        const MarkedNic* old_nic =
            find_same(older.nics, [&](const MarkedNic& other) { return other.name == nic.name; });
        if (old_nic != nullptr && !old_nic->old_mac.empty()) {
            nic.old_mac = old_nic->old_mac;
        }
    }
    for (MarkedHold& hold : both.holds) {
        const MarkedHold* old_hold = find_same(
            older.holds, [&](const MarkedHold& other) { return other.service == hold.service; });
        if (old_hold != nullptr) {
            hold = *old_hold;
        }
    }
    // Names that were released from the wishes are held in the copy all the same.
    for (const MarkedHold& hold : older.holds) {
        if (find_same(both.holds, [&](const MarkedHold& other) {
                return other.service == hold.service;
            }) == nullptr) {
            both.holds.push_back(hold);
        }
    }
    if (!older.initiator_name.empty()) {
        both.old_initiator_name = older.old_initiator_name;
        both.initiator_name =
            newer.initiator_name.empty() ? older.initiator_name : newer.initiator_name;
    }
    both.fixes = older.fixes;
    for (const MarkedFix& fix : newer.fixes) {
        const auto same = std::ranges::find(both.fixes, fix.id, &MarkedFix::id);
        if (same == both.fixes.end()) {
            both.fixes.push_back(fix);
            continue;
        }
        std::set<std::string> files(same->files.begin(), same->files.end());
        files.insert(fix.files.begin(), fix.files.end());
        same->files.assign(files.begin(), files.end());
    }
    return both;
}

} // namespace coldspare::fixup
