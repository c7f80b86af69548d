#include "clone/messages.hpp"

#include "base/text.hpp"
#include "clone/wire.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace coldspare::clone {

namespace {

using nlohmann::json;

constexpr int deepest = 8;
constexpr std::size_t longest_text = 4096;
constexpr std::size_t most_origins = 256;
constexpr std::uint64_t most_versions = 65535;

Error broken(std::string_view message, std::string_view reason) {
    return protocol_error(fmt::format("{}: {}", message, reason));
}

/// An object of the peer's, read field by field.
class Fields {
public:
    Fields(std::string_view message, std::string_view payload) : message_(message) {
        if (payload.size() > largest_json) {
            throw broken(message_, "too long");
        }
        const auto limit_depth = [this](int depth, json::parse_event_t event, json&) {
            const bool opens = event == json::parse_event_t::object_start ||
                               event == json::parse_event_t::array_start;
            if (opens && depth >= deepest) {
                throw broken(message_, "nested too deep");
            }
            return true;
        };
        object_ = json::parse(payload.begin(), payload.end(), limit_depth, false);
        if (!object_.is_object()) {
            throw broken(message_, "not a JSON object");
        }
    }
    Fields(std::string_view message, json object) : message_(message), object_(std::move(object)) {
        if (!object_.is_object()) {
            throw broken(message_, "not a JSON object");
        }
    }

    [[nodiscard]] std::uint64_t number(const char* name, std::uint64_t limit) const {
        const json& value = field(name);
        if (!value.is_number_unsigned() || value.get<std::uint64_t>() > limit) {
            throw broken(message_, fmt::format("'{}' is not a number up to {}", name, limit));
        }
        return value.get<std::uint64_t>();
    }
    [[nodiscard]] unsigned small(const char* name, unsigned limit) const {
        return static_cast<unsigned>(number(name, limit));
    }
    [[nodiscard]] bool flag(const char* name) const {
        const json& value = field(name);
        if (!value.is_boolean()) {
            throw broken(message_, fmt::format("'{}' is neither true nor false", name));
        }
        return value.get<bool>();
    }
    [[nodiscard]] std::string text(const char* name) const { return text_of(field(name), name); }
    [[nodiscard]] std::string hex_text(const char* name, std::size_t length) const {
        std::string value = text(name);
        if (value.size() != length || !from_hex(value)) {
            throw broken(message_, fmt::format("'{}' is not {} hexadecimal digits", name, length));
        }
        return value;
    }
    [[nodiscard]] const json& array(const char* name, std::size_t limit) const {
        const json& value = field(name);
        if (!value.is_array() || value.size() > limit) {
            throw broken(message_, fmt::format("'{}' is not a list of up to {}", name, limit));
        }
        return value;
    }
    [[nodiscard]] std::vector<std::string> texts(const char* name, std::size_t limit) const {
        std::vector<std::string> result;
        for (const json& item : array(name, limit)) {
            result.push_back(text_of(item, name));
        }
        return result;
    }
    [[nodiscard]] bool has(const char* name) const { return object_.contains(name); }
    /// A flag that may be missing.
    [[nodiscard]] bool is_set(const char* name) const { return has(name) && flag(name); }
    [[nodiscard]] std::string_view message() const { return message_; }

private:
    [[nodiscard]] const json& field(const char* name) const {
        const auto found = object_.find(name);
        if (found == object_.end()) {
            throw broken(message_, fmt::format("'{}' is missing", name));
        }
        return *found;
    }
    [[nodiscard]] std::string text_of(const json& value, const char* name) const {
        if (!value.is_string() || value.get_ref<const std::string&>().size() > longest_text) {
            throw broken(message_,
                         fmt::format("'{}' is not a text of up to {} bytes", name, longest_text));
        }
        return value.get<std::string>();
    }

    std::string_view message_;
    json object_;
};

std::string dump(const json& object) {
    return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// The only disk of a message that lists disks.
Fields only_disk(const Fields& fields) {
    const json& disks = fields.array("disks", most_disks);
    if (disks.size() != 1) {
        throw broken(fields.message(), "disks are copied one after the other");
    }
    return {fields.message(), disks.front()};
}

constexpr std::array modes{CopyMode::full, CopyMode::resume, CopyMode::delta};

std::string_view word(CopyMode mode) {
    return mode == CopyMode::full ? "full" : mode == CopyMode::resume ? "resume" : "delta";
}

} // namespace

std::string_view word(Role role) {
    return role == Role::source ? "source" : "target";
}

std::string encode(const Hello& hello) {
    json object{{"versions", {hello.oldest_version, hello.newest_version}},
                {"role", word(hello.role)}};
    if (hello.kind == ConnectionKind::control) {
        object["connection"] = "control";
        object["program"] = hello.program;
        object["streams"] = hello.streams;
        object["features"] = hello.features;
        if (!hello.identity.empty()) {
            object["identity"] = hello.identity;
        }
    } else {
        object["connection"] = "data";
        object["session"] = hello.session;
        object["stream"] = hello.stream;
    }
    return dump(object);
}

Hello parse_hello(std::string_view payload) {
    const Fields fields("HELLO", payload);
    Hello hello;
    const json& versions = fields.array("versions", 2);
    const auto is_version = [](const json& value) {
        return value.is_number_unsigned() && value.get<std::uint64_t>() <= most_versions;
    };
    if (versions.size() != 2 || !std::ranges::all_of(versions, is_version)) {
        throw broken("HELLO", "'versions' is not a pair of numbers");
    }
    hello.oldest_version = versions[0].get<unsigned>();
    hello.newest_version = versions[1].get<unsigned>();
    const std::string role = fields.text("role");
    if (role != "source" && role != "target") {
        throw broken("HELLO", "'role' is neither source nor target");
    }
    hello.role = role == "source" ? Role::source : Role::target;
    const std::string kind = fields.text("connection");
    if (kind == "control") {
        hello.program = fields.text("program");
        hello.streams = fields.small("streams", 65535);
        hello.features = fields.texts("features", 64);
        if (fields.has("identity")) {
            hello.identity = fields.hex_text("identity", 64);
        }
    } else if (kind == "data") {
        hello.kind = ConnectionKind::data;
        hello.session = fields.hex_text("session", 32);
        hello.stream = fields.small("stream", most_streams - 1);
    } else {
        throw broken("HELLO", "'connection' is neither control nor data");
    }
    return hello;
}

Agreement agree(const Hello& ours, const Hello& theirs) {
    if (ours.role == theirs.role) {
        throw Error(fmt::format("both sides are the {}", word(ours.role)),
                    "run 'coldspare send' on one side and 'coldspare receive' on the other");
    }
    const unsigned newest = std::min(ours.newest_version, theirs.newest_version);
    const unsigned oldest = std::max(ours.oldest_version, theirs.oldest_version);
    if (newest < oldest) {
        throw Error(fmt::format("the peer ({}) speaks protocol versions {} to {}, this program {} "
                                "to {}",
                                printable(theirs.program), theirs.oldest_version,
                                theirs.newest_version, ours.oldest_version, ours.newest_version),
                    "install the same version of coldspare on both sides");
    }
    const auto both_name = [&](std::string_view feature) {
        return std::ranges::find(ours.features, feature) != ours.features.end() &&
               std::ranges::find(theirs.features, feature) != theirs.features.end();
    };
    return {newest, std::clamp(std::min(ours.streams, theirs.streams), 1U, most_streams),
            both_name("zstd"), both_name("inventory")};
}

std::string encode(const DiskMessage& disk) {
    const DiskFacts& facts = disk.facts;
    json object({{"name", facts.name},
                 {"kind", facts.kind == DiskKind::block ? "block" : "file"},
                 {"size", facts.size},
                 {"logical_sector", facts.logical_sector},
                 {"physical_sector", facts.physical_sector},
                 {"model", facts.model},
                 {"serial", facts.serial},
                 {"wwn", facts.wwn},
                 {"block_size", disk.block_size},
                 {"origins", facts.origins},
                 {"last", disk.last}});
    if (disk.table) {
        object["table"] = true;
    }
    if (disk.inventory) {
        object["inventory"] = true;
    }
    return dump(object);
}

DiskMessage parse_disk(std::string_view payload) {
    const Fields fields("DISK", payload);
    DiskMessage disk;
    DiskFacts& facts = disk.facts;
    facts.name = printable(fields.text("name"));
    const std::string kind = fields.text("kind");
    if (kind != "block" && kind != "file") {
        throw broken("DISK", "'kind' is neither block nor file");
    }
    facts.kind = kind == "block" ? DiskKind::block : DiskKind::file;
    facts.size = fields.number("size", largest_disk_size);
    facts.logical_sector = fields.small("logical_sector", 1U << 20);
    facts.physical_sector = fields.small("physical_sector", 1U << 20);
    facts.model = printable(fields.text("model"));
    facts.serial = printable(fields.text("serial"));
    facts.wwn = printable(fields.text("wwn"));
    facts.origins = fields.texts("origins", most_origins);
    disk.block_size = fields.small("block_size", largest_block_size);
    disk.last = fields.flag("last");
    disk.table = fields.is_set("table");
    disk.inventory = fields.is_set("inventory");
    if (facts.size == 0) {
        throw broken("DISK", "a disk without a byte");
    }
    if (!is_block_size(disk.block_size)) {
        throw broken("DISK", fmt::format("a block size of {}", disk.block_size));
    }
    if (const Geometry geometry{facts.size, disk.block_size};
        geometry.block_count() > most_blocks) {
        throw broken(
            "DISK", fmt::format("{} blocks, the limit is {}", geometry.block_count(), most_blocks));
    }
    return disk;
}

std::string encode(const PlanMessage& plan) {
    json object({{"session", plan.session},
                 {"streams", plan.streams},
                 {"disks", {{{"disk", plan.disk}, {"mode", word(plan.mode)}}}},
                 {"more", plan.more}});
    if (plan.unwanted) {
        object["unwanted"] = true;
    }
    return dump(object);
}

PlanMessage parse_plan(std::string_view payload) {
    const Fields fields("PLAN", payload);
    PlanMessage plan;
    const Fields disk = only_disk(fields);
    const std::string mode = disk.text("mode");
    const auto known =
        std::ranges::find_if(modes, [&](CopyMode each) { return mode == word(each); });
    if (known == modes.end()) {
        throw broken("PLAN", fmt::format("mode '{}' is not known", printable(mode)));
    }
    plan.mode = *known;
    plan.disk = disk.small("disk", most_disks - 1);
    plan.more = fields.flag("more");
    plan.session = fields.hex_text("session", 32);
    plan.streams = fields.small("streams", most_streams);
    plan.unwanted = fields.is_set("unwanted");
    if (plan.streams == 0) {
        throw broken("PLAN", "no streams");
    }
    return plan;
}

std::string encode(const ProgressMessage& progress) {
    return dump({{"bytes_done", progress.bytes_done},
                 {"io_ns", progress.io_ns},
                 {"net_ns", progress.net_ns}});
}

ProgressMessage parse_progress(std::string_view payload) {
    const Fields fields("PROGRESS", payload);
    constexpr std::uint64_t any = UINT64_MAX;
    return {fields.number("bytes_done", any), fields.number("io_ns", any),
            fields.number("net_ns", any)};
}

std::string encode(const RootMessage& root) {
    return dump(
        {{"disks",
          {{{"disk", root.disk}, {"root", root.root}, {"blocks_sent", root.blocks_sent}}}}});
}

RootMessage parse_root(std::string_view payload) {
    const Fields disk = only_disk(Fields("END or DONE", payload));
    // DONE has no number of blocks.
    return {disk.hex_text("root", 64),
            disk.has("blocks_sent") ? disk.number("blocks_sent", UINT64_MAX) : 0,
            disk.small("disk", most_disks - 1)};
}

namespace {

/// `text` within the limit of a text field, cut between two characters.
std::string cut(std::string_view text) {
    std::string result = printable(text);
    if (result.size() > longest_text) {
        std::size_t end = longest_text;
        while ((static_cast<unsigned char>(result[end]) & 0xc0U) == 0x80) {
            --end;
        }
        result.resize(end);
    }
    return result;
}

} // namespace

std::string encode(const Error& error) {
    return dump({{"message", cut(error.message())},
                 {"hint", cut(error.hint())},
                 {"status", status_word(error.status())}});
}

Error parse_error(std::string_view payload, std::string_view from) {
    try {
        const Fields fields("ERROR", payload);
        const ExitStatus status = status_from_word(fields.text("status"));
        // The other side's lock is not ours: for us the session failed. Its Ctrl-C is: both can be
        // started again.
        const std::string message =
            fmt::format("the {} reports: {}", from, printable(fields.text("message")));
        if (status == ExitStatus::interrupted) {
            return Error(message, go_on_hint, ExitStatus::interrupted);
        }
        const bool shared = status == ExitStatus::refused || status == ExitStatus::incomplete;
        return Error(message, printable(fields.text("hint")), shared ? status : ExitStatus::failed);
    } catch (const Error&) {
        return Error(fmt::format("the {} gave up without a readable reason", from));
    }
}

} // namespace coldspare::clone
