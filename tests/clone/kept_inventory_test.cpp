// Where the inventory of a source stands, and how long: clone/target.hpp and clone/generations.hpp.
#include "base/files.hpp"
#include "base/inventory.hpp"
#include "clone/file_identity.hpp"
#include "clone/generations.hpp"
#include "clone/manifest.hpp"
#include "clone/target.hpp"
#include "tests/support/temporary_directory.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr Geometry geometry{8192, 4096};

DiskFacts source_facts() {
    DiskFacts facts;
    facts.name = "/dev/sda";
    facts.size = geometry.size;
    facts.serial = "Z4Y";
    return facts;
}

std::string of(const std::string& host) {
    return encode_inventory({.hostname = host});
}

struct Site {
    TemporaryDirectory directory;
    fs::path image = directory / "disk";

    /// The first half of a session into `path`.
    [[nodiscard]] std::unique_ptr<Target> begun(const fs::path& path,
                                                const std::string& inventory) const {
        auto target =
            std::make_unique<Target>(TargetRequest{.path = path, .state_dir = directory.path()});
        target->told_inventory(inventory);
        static_cast<void>(target->open(source_facts(), geometry));
        target->begin();
        return target;
    }
    void receive(const fs::path& path, const std::string& inventory) const {
        const std::unique_ptr<Target> target = begun(path, inventory);
        target->record(std::vector<Range>{{0, geometry.size}});
        Manifest manifest;
        manifest.geometry = geometry;
        manifest.source_name = source_facts().name;
        manifest.source_serial = source_facts().serial;
        manifest.leaves.assign(2, zero_leaf(4096));
        manifest.root = root_of(geometry, manifest.leaves);
        target->keep(std::move(manifest));
    }
    /// With a generation.
    void renew(const std::string& inventory, unsigned keep = 1) const {
        Generations all(image, [](std::string_view) {});
        const fs::path next = all.choose(keep, {});
        all.make_ready(source_facts(), Existing::refuse, {});
        receive(next, inventory);
        all.publish();
        all.prune();
    }
    [[nodiscard]] fs::path file(unsigned generation) const {
        return fmt::format("{}.gen{}.inventory.json", image.string(), generation);
    }
    [[nodiscard]] static std::string host_in(const fs::path& file) {
        return fs::exists(file) ? parse_inventory(read_file(file, largest_inventory)).hostname
                                : "none";
    }
};

} // namespace

TEST_CASE("an inventory stands beside its clone, for its owner alone") {
    const Site site;
    site.receive(site.image, of("mail"));
    const fs::path file = site.image.string() + ".inventory.json";
    CHECK(inventory_path(site.image, "/state") == file);
    CHECK(read_file(file, largest_inventory) == of("mail") + "\n");
    CHECK(fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("a clone that is written again loses its inventory with its manifest") {
    const Site site;
    site.receive(site.image, of("mail"));
    static_cast<void>(site.begun(site.image, of("web")));
    CHECK(Site::host_in(inventory_path(site.image, {})) == "none");
    CHECK_FALSE(fs::exists(manifest_path(site.image, {})));
}

TEST_CASE("a clone without an inventory has not the one of an earlier clone") {
    const Site site;
    site.receive(site.image, of("mail"));
    site.receive(site.image, of("mail2"));
    CHECK(Site::host_in(inventory_path(site.image, {})) == "mail2");
    site.receive(site.image, "");
    CHECK(Site::host_in(inventory_path(site.image, {})) == "none");
}

TEST_CASE("each generation has the inventory that came with it") {
    const Site site;
    site.renew(of("one"));
    site.renew(of("two"));
    CHECK(Site::host_in(site.file(1)) == "one");
    CHECK(Site::host_in(site.file(2)) == "two");
    CHECK(inventory_path(site.image, {}) == site.file(2));
    site.renew(of("three"));
    CHECK(Site::host_in(site.file(1)) == "none");
    CHECK(Site::host_in(site.file(2)) == "two");
    CHECK(Site::host_in(site.file(3)) == "three");
    static_cast<void>(Generations(site.image, [](std::string_view) {}).roll_back());
    CHECK(Site::host_in(inventory_path(site.image, {})) == "two");
}

TEST_CASE("a generation that becomes another one leaves its inventory behind") {
    const Site site;
    site.renew(of("one"), 2);
    site.renew(of("two"), 2);
    site.renew("", 1); // Where files cannot share blocks, this is the first one, renamed.
    CHECK(Site::host_in(site.file(1)) == "none");
    CHECK(Site::host_in(site.file(2)) == "two");
    CHECK(Site::host_in(site.file(3)) == "none");
}

TEST_CASE("a plain image keeps its inventory when it becomes a generation") {
    const Site site;
    site.receive(site.image, of("plain"));
    site.renew(of("next"));
    CHECK(Site::host_in(site.file(1)) == "plain");
    CHECK(Site::host_in(site.file(2)) == "next");
    CHECK_FALSE(fs::exists(site.image.string() + ".inventory.json"));
}

} // namespace coldspare::clone
