#include "fixup/binding.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "fixup/protocol.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <variant>

namespace coldspare::fixup {

namespace fs = std::filesystem;

namespace {

using nlohmann::json;

constexpr std::size_t largest_file = std::size_t{32} << 20;
constexpr int format_number = 2;

json stamp_to_json(const FileStamp& stamp) {
    return {{"size", stamp.size}, {"modified_ns", stamp.modified_ns}};
}

FileStamp stamp_from_json(const json& object) {
    return {.size = object.at("size"), .modified_ns = object.at("modified_ns")};
}

} // namespace

fs::path binding_path(const fs::path& overlay) {
    fs::path path = overlay;
    if (path.extension() == ".qcow2") {
        return path.replace_extension(".json");
    }
    return path += ".json";
}

std::string encode_binding(const Binding& binding) {
    json object{{"format", format_number},
                {"created", binding.created},
                {"program", binding.program},
                {"base", binding.base},
                {"base_root", binding.base_root},
                {"base_stamp", stamp_to_json(binding.base_stamp)},
                {"overlay_stamp", stamp_to_json(binding.overlay_stamp)},
                {"accelerator", binding.accelerator},
                {"wishes", json::parse(encode_wishes(binding.wishes))},
                {"report", json::parse(encode_report(binding.report))}};
    return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Binding parse_binding(std::string_view content) {
    const json object = json::parse(content, nullptr, false);
    if (!object.is_object()) {
        throw Error("it is not a JSON object");
    }
    try {
        if (object.at("format") != format_number) {
            throw Error(fmt::format("its format is {}, and this version reads {}",
                                    object.at("format").dump(), format_number));
        }
        Binding binding{.created = object.at("created"),
                        .program = object.at("program"),
                        .base = object.at("base"),
                        .base_root = object.at("base_root"),
                        .base_stamp = stamp_from_json(object.at("base_stamp")),
                        .overlay_stamp = stamp_from_json(object.at("overlay_stamp")),
                        .accelerator = object.at("accelerator"),
                        .wishes = parse_wishes(object.at("wishes").dump())};
        const ApplianceMessage message = decode_message(object.at("report").dump());
        if (!std::holds_alternative<RepairReport>(message)) {
            throw Error("it has no report");
        }
        binding.report = std::get<RepairReport>(message);
        return binding;
    } catch (const json::exception& error) {
        throw Error(fmt::format("it cannot be understood: {}", error.what()));
    }
}

std::optional<Binding> read_binding(const fs::path& path) {
    if (!fs::exists(path)) {
        return std::nullopt;
    }
    try {
        return parse_binding(read_file(path, largest_file));
    } catch (Error& error) {
        error.prepend(fmt::format("reading '{}'", path.string()));
        throw;
    }
}

} // namespace coldspare::fixup
