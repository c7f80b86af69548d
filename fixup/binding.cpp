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
constexpr std::size_t most_layers = 26;

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

fs::path pending_path(const fs::path& overlay) {
    return binding_path(overlay) += ".next";
}

std::optional<FileStamp> finished_stamp(const std::optional<Binding>& binding,
                                        const fs::path& overlay) {
    for (const Layer& layer : binding ? binding->layers : std::vector<Layer>()) {
        // A plain image becomes the first generation under another name, with all that is beside.
        if (binding->layers.size() == 1 || layer.overlay == overlay.filename().string()) {
            return layer.overlay_stamp;
        }
    }
    return std::nullopt;
}

std::string encode_binding(const Binding& binding) {
    json layers = json::array();
    for (const Layer& layer : binding.layers) {
        layers.push_back({{"base", layer.base},
                          {"base_root", layer.base_root},
                          {"base_stamp", stamp_to_json(layer.base_stamp)},
                          {"overlay", layer.overlay},
                          {"overlay_stamp", stamp_to_json(layer.overlay_stamp)},
                          {"written", layer.written}});
    }
    const json object{{"format", format_number},
                      {"created", binding.created},
                      {"program", binding.program},
                      {"layers", layers},
                      {"accelerator", binding.accelerator},
                      {"root", binding.root},
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
        const json& layers = object.at("layers");
        if (!layers.is_array() || layers.empty() || layers.size() > most_layers) {
            throw Error(fmt::format("'layers' is not a list of 1 to {} disks", most_layers));
        }
        Binding binding{.created = object.at("created"),
                        .program = object.at("program"),
                        .accelerator = object.at("accelerator"),
                        .root = object.at("root"),
                        .wishes = parse_wishes(object.at("wishes").dump())};
        for (const json& layer : layers) {
            binding.layers.push_back({.base = layer.at("base"),
                                      .base_root = layer.at("base_root"),
                                      .base_stamp = stamp_from_json(layer.at("base_stamp")),
                                      .overlay = layer.at("overlay"),
                                      .overlay_stamp = stamp_from_json(layer.at("overlay_stamp")),
                                      .written = layer.at("written")});
        }
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
