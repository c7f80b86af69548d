#include "cli/standby_init.hpp"

#include "base/files.hpp"
#include "base/inventory.hpp"
#include "base/text.hpp"
#include "cli/program.hpp"
#include "clone/gather_inventory.hpp"
#include "standby/standby_file.hpp"
#include "standby/standby_init.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>

namespace coldspare::cli {

namespace fs = std::filesystem;

namespace {

Inventory read_inventory(const std::string& file) {
    if (file.empty()) {
        return parse_inventory(encode_inventory(
            clone::gather_inventory(clone::this_machine(), program_and_version())));
    }
    const bool from_input = file == "-";
    const std::string text = read_file(from_input ? "/dev/stdin" : file, largest_inventory);
    try {
        return parse_inventory(text);
    } catch (Error& error) {
        error.prepend(from_input ? "reading standard input"
                                 : fmt::format("reading '{}'", printable(file)));
        throw;
    }
}

void write(const fs::path& path, const std::string& text, Overwrite overwrite) {
    std::error_code none;
    if (overwrite == Overwrite::refuse && fs::exists(fs::symlink_status(path, none))) {
        throw refusal(fmt::format("overwrite '{}'", path.string()),
                      "--force replaces it; --output FILE writes another one to compare with it");
    }
    make_parent_directories(path, "say --config-dir DIR or --output FILE");
    write_file_atomically(path, text);
}

} // namespace

ExitStatus standby_init(Output& output, const StandbyInitOptions& options) {
    const Inventory server = read_inventory(options.inventory);
    const std::string text =
        standby::standby_text(server, {.name = options.name,
                                       .connect = options.connect,
                                       .image_directory = options.image_directory});
    // What is written here is what every other command reads.
    const standby::StandbyFile made = standby::parse_standby_file(options.name + ".toml", text);
    nlohmann::json fields{{"name", made.name}};
    if (options.output == "-") {
        for (const std::string_view line : split_lines(text)) {
            output.line(line);
        }
        fields["text"] = text;
    } else {
        const fs::path path = options.output.empty()
                                  ? fs::path(options.config_dir) / (options.name + ".toml")
                                  : fs::path(options.output);
        write(path, text, options.overwrite);
        output.line(fmt::format("'{}' describes the standby '{}'; disks: {}, network cards: {}, "
                                "volumes: {}",
                                printable(path.string()), made.name, made.machine.disks.size(),
                                made.machine.nics.size(), made.volumes.size()));
        output.line("look over what it marks with CHECK before you go on");
        fields["file"] = path.string();
    }
    output.result(ExitStatus::done, fields);
    return ExitStatus::done;
}

} // namespace coldspare::cli
