#include "clone/pins.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <system_error>

namespace coldspare::clone {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::size_t largest_file = 4096;
constexpr std::size_t longest_name = 64;
constexpr std::size_t longest_text = 1024;
constexpr int deepest = 2;

bool is_pin_name(std::string_view name) {
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= longest_name && name.front() != '.' &&
           name.front() != '-' && std::ranges::all_of(name, good);
}

std::string text_member(const json& object, const char* member) {
    const auto found = object.find(member);
    if (found == object.end() || !found->is_string() ||
        found->get_ref<const std::string&>().size() > longest_text) {
        throw Error(fmt::format("'{}' is not a text of up to {} bytes", member, longest_text));
    }
    return found->get<std::string>();
}

} // namespace

void check_pin_name(std::string_view name) {
    if (!is_pin_name(name)) {
        throw usage_error(fmt::format("'{}' is not a name for a pair", printable(name)),
                          "1 to 64 letters, digits, '.', '_' and '-', and '.' and '-' not first");
    }
}

std::string encode(const Pin& pin) {
    const json object{{"format", 1},
                      {"name", pin.name},
                      {"fingerprint", hex(pin.fingerprint)},
                      {"paired", pin.paired},
                      {"peer", pin.peer}};
    return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Pin parse_pin(std::string_view content) {
    if (content.size() > largest_file) {
        throw Error(fmt::format("it is longer than {} bytes", largest_file));
    }
    const auto limit_depth = [](int depth, json::parse_event_t event, json&) {
        const bool opens =
            event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        if (opens && depth >= deepest) {
            throw Error("it is nested too deep");
        }
        return true;
    };
    const json object = json::parse(content.begin(), content.end(), limit_depth, false);
    if (!object.is_object()) {
        throw Error("it is not a JSON object");
    }
    if (const auto format = object.find("format"); format == object.end() || *format != 1) {
        throw Error("its 'format' is not 1");
    }
    Pin pin{.name = text_member(object, "name"),
            .fingerprint = parse_fingerprint(text_member(object, "fingerprint")),
            .paired = printable(text_member(object, "paired")),
            .peer = printable(text_member(object, "peer"))};
    if (!is_pin_name(pin.name)) {
        throw Error("its 'name' is not a name for a pair");
    }
    return pin;
}

Pins::Pins(fs::path state_dir) : directory_(std::move(state_dir) / "pairs") {}

fs::path Pins::file_of(std::string_view name) const {
    check_pin_name(name);
    return directory_ / fmt::format("{}.json", name);
}

bool Pins::known(std::string_view name) const {
    return fs::exists(file_of(name));
}

std::optional<Pin> Pins::find(std::string_view name) const {
    const fs::path path = file_of(name);
    if (!known(name)) {
        return std::nullopt;
    }
    const std::string content = read_file(path, largest_file);
    try {
        Pin pin = parse_pin(content);
        if (pin.name != name) {
            throw Error(fmt::format("it is about '{}'", pin.name));
        }
        return pin;
    } catch (const Error& error) {
        throw Error(fmt::format("'{}' is damaged: {}", path.string(), error.message()),
                    fmt::format("run 'coldspare pair forget {}', then pair again", name));
    }
}

void Pins::store(const Pin& pin) const {
    const fs::path path = file_of(pin.name);
    std::error_code code;
    fs::create_directories(directory_, code);
    if (code) {
        throw system_error(fmt::format("cannot make the directory '{}'", directory_.string()),
                           code.value(), "choose another one with --state-dir");
    }
    write_file_atomically(path, encode(pin), 0600);
}

bool Pins::forget(std::string_view name) const {
    return remove_file_durably(file_of(name));
}

std::vector<Pin> Pins::list() const {
    std::vector<Pin> pins;
    if (!fs::exists(directory_)) {
        return pins;
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(directory_)) {
        const std::string name = entry.path().stem().string();
        // A file beside, which a crash left, is no pair.
        if (entry.path().extension() == ".json" && is_pin_name(name)) {
            if (std::optional<Pin> pin = find(name)) {
                pins.push_back(std::move(*pin));
            }
        }
    }
    std::ranges::sort(pins, {}, &Pin::name);
    return pins;
}

} // namespace coldspare::clone
