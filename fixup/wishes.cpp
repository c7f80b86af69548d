#include "fixup/wishes.hpp"

#include "base/error.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace coldspare::fixup {

namespace {

using nlohmann::json;

constexpr std::size_t largest_text = std::size_t{1} << 20;
constexpr std::size_t most_items = 1000;

std::vector<std::string> strings_in(const json& object, const char* key) {
    const json& list = object.at(key);
    if (!list.is_array() || list.size() > most_items) {
        throw Error(fmt::format("'{}' is not a list of at most {} words", key, most_items));
    }
    return list.get<std::vector<std::string>>();
}

} // namespace

std::string encode_wishes(const Wishes& wishes) {
    json nics = json::array();
    for (const NicBinding& nic : wishes.nics) {
        nics.push_back(fmt::format("{}={}", nic.name, nic.mac));
    }
    return json{{"nics", nics},
                {"holds", wishes.holds},
                {"initiator_name", wishes.initiator_name},
                {"initramfs", wishes.initramfs == InitramfsWay::append ? "append" : "rebuild"},
                {"agents", wishes.agents == Agents::disable ? "disable" : "report"},
                {"skip", wishes.skip}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}

Wishes parse_wishes(std::string_view text) {
    if (text.size() > largest_text) {
        throw Error(fmt::format("the wishes have {} bytes", text.size()));
    }
    const json object = json::parse(text, nullptr, false);
    if (!object.is_object()) {
        throw Error("the wishes are not a JSON object");
    }
    try {
        const std::vector<std::string> skip = strings_in(object, "skip");
        return {.nics = parse_nics(strings_in(object, "nics")),
                .holds = strings_in(object, "holds"),
                .initiator_name = object.at("initiator_name"),
                .initramfs = object.at("initramfs") == "append" ? InitramfsWay::append
                                                                : InitramfsWay::rebuild,
                .agents = object.at("agents") == "disable" ? Agents::disable : Agents::report,
                .skip = {skip.begin(), skip.end()}};
    } catch (const json::exception& error) {
        throw Error(fmt::format("the wishes cannot be understood: {}", error.what()));
    }
}

} // namespace coldspare::fixup
