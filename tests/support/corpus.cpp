#include "tests/support/corpus.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace coldspare::fixup {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t largest_file = std::size_t{1} << 20;

void put_tree(const fs::path& tree, MemoryGuest& guest) {
    if (!fs::exists(tree)) {
        return;
    }
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(tree)) {
        const std::string path = "/" + entry.path().lexically_relative(tree).string();
        if (entry.is_symlink()) {
            guest.put_link(path, fs::read_symlink(entry.path()).string());
        } else if (entry.is_directory()) {
            guest.put_directory(path);
        } else {
            guest.put(path, read_file(entry.path(), largest_file));
        }
    }
}

GuestVolume volume_from(const json& object) {
    GuestVolume volume{.device = object.at("device"),
                       .partition_type = object.value("type", ""),
                       .format = object.value("format", ""),
                       .uuid = object.value("uuid", ""),
                       .label = object.value("label", ""),
                       .mount_point = object.value("mount", "")};
    if (object.contains("partition")) {
        volume.disk = object.value("disk", 0U);
        volume.partition = object.at("partition").get<unsigned>();
        volume.start = object.value("start", std::uint64_t{0});
        volume.size = object.value("size", std::uint64_t{0});
    }
    return volume;
}

/// "a/b.ko" for each module.
std::string listing(const std::string& version, const json& modules, std::string_view suffix) {
    std::string text;
    for (const std::string module : modules) {
        text += fmt::format("usr/lib/modules/{}/kernel/{}.ko{}\n", version, module, suffix);
    }
    return text;
}

/// A kernel file, its modules, and an initramfs that is its own listing.
void put_kernel(const json& kernel, MemoryGuest& guest) {
    const std::string version = kernel.at("version");
    guest.put("/boot/vmlinuz-" + version, "kernel");
    const std::string modules = "/lib/modules/" + version;
    guest.put(modules + "/modules.dep",
              listing(version, kernel.value("modules", json::array()), ":"));
    guest.put(modules + "/modules.builtin",
              listing(version, kernel.value("builtin", json::array()), ""));
    if (kernel.contains("initrd")) {
        guest.put(kernel.at("initrd"), listing(version, kernel.at("initrd_modules"), ""));
    }
}

} // namespace

std::vector<fs::path> corpus_folders() {
    std::vector<fs::path> folders;
    for (const fs::directory_entry& entry :
         fs::directory_iterator(fs::path(SOURCE_DIR) / "tests/fixup/corpus")) {
        if (entry.is_directory()) {
            folders.push_back(entry.path());
        }
    }
    std::ranges::sort(folders);
    return folders;
}

CorpusCase read_corpus_case(const fs::path& folder) {
    CorpusCase result{.folder = folder};
    MemoryGuest& guest = result.guest;
    try {
        const json object = json::parse(read_file(folder / "case.json", largest_file));
        const json& system = object.at("system");
        guest.identity = {.distro = system.at("distro"),
                          .product = system.at("product"),
                          .arch = system.value("arch", "x86_64"),
                          .package_format = system.value("package_format", "deb"),
                          .mount_points = {"/"}};
        guest.identity.tables = object.value("tables", std::vector<std::string>{"msdos"});
        for (const json& volume : object.value("volumes", json::array())) {
            guest.identity.volumes.push_back(volume_from(volume));
        }
        put_tree(folder / "tree", guest);
        for (const std::string path : object.value("present", json::array())) {
            guest.put(path, "");
        }
        for (const std::string path : object.value("directories", json::array())) {
            guest.put_directory(path);
        }
        for (const json& kernel : object.value("kernels", json::array())) {
            put_kernel(kernel, guest);
        }
        if (object.value("legacy_stages", false)) {
            put_legacy_stages(guest);
        }
        const json sectors = object.value("boot_sector", json("grub2"));
        use_simulated_shell(guest, sectors.is_string()
                                       ? std::vector<std::string>{sectors.get<std::string>()}
                                       : sectors.get<std::vector<std::string>>());
        json wishes = json::parse(encode_wishes({}));
        wishes.update(object.at("wishes"));
        result.wishes = parse_wishes(wishes.dump());
        if (fs::exists(folder / "inventory.json")) {
            result.inventory = parse_inventory(read_file(folder / "inventory.json", largest_file));
        }
        if (fs::exists(folder / "plan.txt")) {
            result.expected = read_file(folder / "plan.txt", largest_file);
        }
        return result;
    } catch (const json::exception& error) {
        throw Error(fmt::format("reading '{}': {}", (folder / "case.json").string(), error.what()));
    }
}

} // namespace coldspare::fixup
