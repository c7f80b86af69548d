// Whole systems as text: tests/fixup/corpus/README.md says how to add one.
#include "base/error.hpp"
#include "base/files.hpp"
#include "fixup/fixes.hpp"
#include "fixup/repair.hpp"
#include "tests/support/corpus.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

const NoteCallback quiet = [](std::string_view) {};

std::string text_of(const RepairReport& report) {
    std::string text = report.plan_text;
    for (const std::string& warning : report.warnings) {
        text += fmt::format("warning: {}\n", warning);
    }
    text += fmt::format("vm: firmware {}, machine {}, disk on {}", report.vm.firmware,
                        report.vm.machine, report.vm.disk_bus);
    if (report.vm.boot_disk != 0) {
        text += fmt::format(", disk {} first", report.vm.boot_disk);
    }
    for (const VmNic& nic : report.vm.nics) {
        text += fmt::format(", {} {} as {}", nic.model, nic.mac, nic.name);
    }
    return text + "\n";
}

} // namespace

TEST_CASE("each system of the corpus gets the plan that stands beside it") {
    const bool write_anew = std::getenv("COLDSPARE_WRITE_GOLDEN") != nullptr;
    for (const std::filesystem::path& folder : corpus_folders()) {
        CAPTURE(folder.filename().string());
        CorpusCase system = read_corpus_case(folder);
        const std::string got =
            text_of(repair(system.guest, system.wishes, Depth::look, quiet, system.inventory));
        if (write_anew) {
            write_file_atomically(folder / "plan.txt", got);
        } else {
            CHECK(got == system.expected);
        }
    }
}

TEST_CASE("a system of the corpus that was mended needs nothing more") {
    std::size_t mended = 0;
    for (const std::filesystem::path& folder : corpus_folders()) {
        CAPTURE(folder.filename().string());
        CorpusCase system = read_corpus_case(folder);
        const Facts facts = gather_facts(system.guest, system.inventory);
        const Plan plan = make_plan(facts, system.wishes);
        if (plan.obstacle() != nullptr) {
            continue;
        }
        ++mended;
        apply_plan(system.guest, plan, quiet);
        const Plan again = make_plan(gather_facts(system.guest, system.inventory), system.wishes);
        CHECK_MESSAGE(again.is_empty(), plan_text(again));
    }
    CHECK(mended > 0);
}
