// What measurements have in the middle, or at their worse end.
#pragma once

#include <vector>

namespace slipstream {

// 0 <= share <= 1: the value that so much of them is at or below, between two of them in proportion; 0 of none.
double percentile(std::vector<double> values, double share);
double median(std::vector<double> values);

}  // namespace slipstream
