#include "clone/level.hpp"

#include <algorithm>
#include <array>

namespace coldspare::clone {

namespace {

/// What a level costs and leaves compared with level 1: zstd 1.5 on the files of an installed
/// system in blocks of 256 KiB.
struct Step {
    int level;
    double cost;
    double ratio;
};
constexpr std::array<Step, 6> steps{{{-1, 0.85, 1.08},
                                     {1, 1.0, 1.0},
                                     {3, 1.9, 0.94},
                                     {6, 5.0, 0.88},
                                     {9, 8.0, 0.86},
                                     {12, 20.0, 0.85}}};

// How fast a new measurement changes what is believed.
constexpr double weight = 0.1;
// Another level must promise this much, or the choice would flutter.
constexpr double worth_changing = 0.85;

void blend(double& believed, double measured) {
    believed += weight * (measured - believed);
}

} // namespace

LevelChooser::LevelChooser(Compression compression) : mode_(compression.mode) {
    if (mode_ == Compression::Mode::fixed) {
        level_ = compression.level;
    }
}

void LevelChooser::packed(std::size_t raw, std::size_t packed, std::chrono::nanoseconds spent) {
    const auto* step = std::ranges::find(steps, level_.value_or(1), &Step::level);
    if (mode_ != Compression::Mode::automatic || step == steps.end() || raw == 0) {
        return;
    }
    const auto bytes = static_cast<double>(raw);
    blend(cost_, std::chrono::duration<double>(spent).count() / bytes / step->cost);
    blend(ratio_, static_cast<double>(packed) / bytes / step->ratio);
}

void LevelChooser::carried(double rate) {
    if (!rate_) {
        rate_ = rate;
    }
    blend(*rate_, rate);
}

void LevelChooser::choose() {
    if (mode_ != Compression::Mode::automatic || !rate_) {
        return;
    }
    const auto promise = [&](const Step& step) {
        return std::max(cost_ * step.cost, std::min(1.0, ratio_ * step.ratio) / *rate_);
    };
    std::optional<int> best;
    double least = 1.0 / *rate_;
    double now = least;
    for (const Step& step : steps) {
        const double cost = promise(step);
        if (level_ == step.level) {
            now = cost;
        }
        if (cost < least) {
            least = cost;
            best = step.level;
        }
    }
    if (least < now * worth_changing) {
        level_ = best;
    }
}

} // namespace coldspare::clone
