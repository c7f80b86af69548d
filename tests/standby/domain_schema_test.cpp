// libvirt's own schemas judge what we write: virt-xml-validate does no more than call xmllint so,
// once for each file.
#include "base/process.hpp"
#include "standby/network_xml.hpp"
#include "tests/support/domain_examples.hpp"
#include "tests/support/temporary_directory.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

using namespace coldspare;
using namespace coldspare::standby;

namespace {

namespace fs = std::filesystem;

/// What xmllint says of the files, if anything.
std::string complaints(const std::string& schema, const fs::path& directory) {
    Command command{
        .argv = {"xmllint", "--noout", "--relaxng", "/usr/share/libvirt/schemas/" + schema},
        .deadline = std::chrono::seconds(300)};
    for (const auto& entry : fs::directory_iterator(directory)) {
        command.argv.push_back(entry.path().string());
    }
    const std::size_t files = command.argv.size() - 4;
    const ProcessResult result = run_process(command);
    // "FILE validates", once for each, and complaints.
    std::string rest;
    std::size_t valid = 0;
    std::size_t begin = 0;
    while (begin < result.err.size()) {
        const std::size_t end = std::min(result.err.find('\n', begin), result.err.size());
        const std::string line = result.err.substr(begin, end - begin);
        begin = end + 1;
        if (line.ends_with(" validates")) {
            ++valid;
        } else {
            rest += line + "\n";
        }
    }
    CHECK(result.exit_code == 0);
    CHECK(valid == files);
    return rest;
}

void put(const TemporaryDirectory& directory, const std::string& name, const std::string& xml) {
    // Not write_file_atomically(): that would take 30 s of waiting for the disk.
    std::ofstream(directory / name) << xml;
}

} // namespace

TEST_CASE("libvirt's schema takes the machines of tests/standby/domains") {
    TemporaryDirectory domains;
    TemporaryDirectory networks;
    for (const auto& entry :
         fs::directory_iterator(fs::path(SOURCE_DIR) / "tests/standby/domains")) {
        const std::string name = entry.path().filename().string();
        fs::copy_file(entry.path(), (name == "network.xml" ? networks : domains) / name);
    }
    CHECK(complaints("domain.rng", domains.path()) == "");
    CHECK(complaints("network.rng", networks.path()) == "");
}

TEST_CASE("libvirt's schema takes the machines of 1000 random standbys, drills and networks") {
    TemporaryDirectory domains;
    TemporaryDirectory networks;
    Dice dice(20261123);
    for (int i = 0; i < 1000; ++i) {
        const DomainExample example = random_example(dice);
        const DomainInput input = example.input();
        const std::string xml = domain_xml(input);
        CHECK(domain_differences(xml, xml).empty());
        CHECK(parse_domain_mark(xml) == DomainMark{example.standby.name, "cold"});
        put(domains, fmt::format("{}.xml", i), xml);
        DrillInput drill = drill_of(input);
        if (dice.below(2) == 0) {
            drill.network = drill_network_name(example.standby);
        }
        put(domains, fmt::format("{}-drill.xml", i), drill_domain_xml(input, drill));
        put(networks, fmt::format("{}.xml", i), drill_network_xml(example.standby, "0.1.0"));
    }
    CHECK(complaints("domain.rng", domains.path()) == "");
    CHECK(complaints("network.rng", networks.path()) == "");
}
