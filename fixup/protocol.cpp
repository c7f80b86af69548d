#include "fixup/protocol.hpp"

#include "base/text.hpp"
#include "fixup/nic.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

using nlohmann::json;

constexpr std::size_t largest_message = std::size_t{16} << 20;
constexpr std::size_t most_items = 100000;

/// Guest paths and messages may hold bytes that are not UTF-8; JSON may not.
std::string dump(const json& object) {
    return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

json parse(std::string_view text, std::string_view who) {
    if (text.size() > largest_message) {
        throw Error(fmt::format("{} sent a message of {} bytes", who, text.size()));
    }
    json object = json::parse(text, nullptr, false);
    if (!object.is_object()) {
        throw Error(fmt::format("{} sent something that is not a JSON object", who));
    }
    return object;
}

json vm_to_json(const VmRequirements& vm) {
    json nics = json::array();
    for (const VmNic& nic : vm.nics) {
        nics.push_back({{"name", nic.name}, {"mac", nic.mac}, {"model", nic.model}});
    }
    return {{"firmware", vm.firmware}, {"machine", vm.machine},
            {"disk_bus", vm.disk_bus}, {"nics", nics},
            {"cpu", vm.cpu},           {"boot_disk", vm.boot_disk},
            {"note", vm.note}};
}

/// A word of the guest or the helper, which a terminal will see.
std::string word_in(const json& object, const char* key) {
    return printable(object.at(key).get<std::string>());
}

/// The same for a text of several lines.
std::string text_in(const json& object, const char* key) {
    const std::string text = object.at(key).get<std::string>();
    std::string result;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const std::size_t end = std::min(text.find_first_of("\n\t", at), text.size());
        result += printable(std::string_view(text).substr(at, end - at));
        result += text.substr(end, 1);
        at = end;
    }
    return result;
}

const json& list_in(const json& object, const char* key) {
    const json& list = object.at(key);
    if (!list.is_array() || list.size() > most_items) {
        throw Error(fmt::format("'{}' is not a list of at most {} things", key, most_items));
    }
    return list;
}

std::vector<std::string> strings_in(const json& object, const char* key) {
    std::vector<std::string> strings;
    for (const json& item : list_in(object, key)) {
        strings.push_back(printable(item.get<std::string>()));
    }
    return strings;
}

VmRequirements vm_from_json(const json& object) {
    VmRequirements vm{.firmware = word_in(object, "firmware"),
                      .machine = word_in(object, "machine"),
                      .disk_bus = word_in(object, "disk_bus"),
                      .cpu = word_in(object, "cpu"),
                      .boot_disk = object.value("boot_disk", 0U),
                      .note = printable(object.value("note", ""))};
    for (const json& nic : list_in(object, "nics")) {
        vm.nics.push_back({.name = word_in(nic, "name"),
                           .mac = word_in(nic, "mac"),
                           .model = word_in(nic, "model")});
    }
    return vm;
}

Outcome outcome_from_word(const std::string& word) {
    for (const Outcome outcome : {Outcome::applied, Outcome::not_needed, Outcome::cannot,
                                  Outcome::planned, Outcome::skipped}) {
        if (outcome_word(outcome) == word) {
            return outcome;
        }
    }
    throw Error(fmt::format("'{}' is not the outcome of a fix", word));
}

RepairReport report_from_json(const json& object) {
    RepairReport report{.system = word_in(object, "system"),
                        .plan_text = text_in(object, "plan"),
                        .warnings = strings_in(object, "warnings"),
                        .files = strings_in(object, "files"),
                        .vm = vm_from_json(object.at("vm"))};
    for (const json& command : list_in(object, "commands")) {
        report.commands.push_back({.fix = word_in(command, "fix"),
                                   .line = word_in(command, "line"),
                                   .output = text_in(command, "output")});
    }
    for (const json& fix : list_in(object, "fixes")) {
        report.fixes.push_back({.id = word_in(fix, "id"),
                                .outcome = outcome_from_word(word_in(fix, "outcome")),
                                .detail = word_in(fix, "detail"),
                                .hint = word_in(fix, "hint")});
    }
    return report;
}

ApplianceMessage message_from_json(const json& object) {
    const std::string event = word_in(object, "event");
    if (event == "note") {
        return text_in(object, "message");
    }
    if (event == "report") {
        return report_from_json(object);
    }
    if (event == "error") {
        return Error(word_in(object, "message"), word_in(object, "hint"),
                     status_from_word(object.at("status").get<std::string>()));
    }
    throw Error(fmt::format("'{}' is not an event of the appliance", event));
}

} // namespace

std::string encode_request(const ApplianceRequest& request) {
    const auto texts = [](const std::vector<std::filesystem::path>& paths) {
        json list = json::array();
        for (const std::filesystem::path& path : paths) {
            list.push_back(path.string());
        }
        return list;
    };
    return dump({{"disks", texts(request.disks)},
                 {"format", request.format == DiskFormat::raw ? "raw" : "qcow2"},
                 {"depth", request.depth == Depth::look ? "look" : "mend"},
                 {"accelerator", accelerator_word(request.accelerator)},
                 {"root", request.root},
                 {"keys", texts(request.keys)},
                 {"wishes", json::parse(encode_wishes(request.wishes))},
                 {"inventory",
                  request.inventory ? json::parse(encode_inventory(*request.inventory)) : json()}});
}

ApplianceRequest decode_request(std::string_view text) {
    const json object = parse(text, "the caller");
    try {
        ApplianceRequest request{
            .format = object.at("format") == "raw" ? DiskFormat::raw : DiskFormat::qcow2,
            .depth = object.at("depth") == "mend" ? Depth::mend : Depth::look,
            .accelerator = object.at("accelerator") == "kvm" ? Accelerator::kvm : Accelerator::tcg,
            .root = object.at("root"),
            .wishes = parse_wishes(object.at("wishes").dump())};
        if (const json& inventory = object.at("inventory"); !inventory.is_null()) {
            request.inventory = parse_inventory(inventory.dump());
        }
        for (const json& path : list_in(object, "disks")) {
            request.disks.emplace_back(path.get<std::string>());
        }
        for (const json& path : list_in(object, "keys")) {
            request.keys.emplace_back(path.get<std::string>());
        }
        return request;
    } catch (const json::exception& error) {
        throw Error(fmt::format("the request cannot be understood: {}", error.what()));
    }
}

std::string encode_note(std::string_view text) {
    return dump({{"event", "note"}, {"message", text}});
}

std::string encode_report(const RepairReport& report) {
    json fixes = json::array();
    for (const FixOutcome& fix : report.fixes) {
        fixes.push_back({{"id", fix.id},
                         {"outcome", outcome_word(fix.outcome)},
                         {"detail", fix.detail},
                         {"hint", fix.hint}});
    }
    json commands = json::array();
    for (const CommandRecord& command : report.commands) {
        commands.push_back(
            {{"fix", command.fix}, {"line", command.line}, {"output", command.output}});
    }
    return dump({{"event", "report"},
                 {"system", report.system},
                 {"fixes", fixes},
                 {"commands", commands},
                 {"plan", report.plan_text},
                 {"warnings", report.warnings},
                 {"files", report.files},
                 {"vm", vm_to_json(report.vm)}});
}

std::string encode_error(const Error& error) {
    return dump({{"event", "error"},
                 {"message", error.message()},
                 {"hint", error.hint()},
                 {"status", status_word(error.status())}});
}

ApplianceMessage decode_message(std::string_view line) {
    const json object = parse(line, "the appliance");
    try {
        return message_from_json(object);
    } catch (const json::exception& error) {
        throw Error(fmt::format("the appliance's message cannot be understood: {}", error.what()));
    }
}

} // namespace coldspare::fixup
