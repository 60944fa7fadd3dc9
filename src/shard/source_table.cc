#include "shard/source_table.h"

#include <algorithm>

#include "base/assert.h"

namespace ringway::shard {
namespace {

constexpr Source kNone{};

}  // namespace

// FNV-1a. Who can choose among 2^64 networks can make entries meet; each costs him a connection that is open.
uint32_t SourceTable::home(const Source& source) const noexcept {
  uint64_t hash = 0xcbf29ce484222325;
  for (const uint8_t octet : source) hash = (hash ^ octet) * 0x100000001b3;
  return static_cast<uint32_t>(hash >> 32) & static_cast<uint32_t>(entries_.size() - 1);
}

// Where it is, or where it would be.
uint32_t SourceTable::find(const Source& source) const noexcept {
  uint32_t i = home(source);
  while (entries_[i].count != 0 && entries_[i].source != source)
    i = (i + 1) & static_cast<uint32_t>(entries_.size() - 1);
  return i;
}

bool SourceTable::add(const Source& source, uint32_t most) {
  if (source == kNone) return true;
  const std::lock_guard lock(mutex_);
  if (used_ * 2 >= entries_.size()) grow();
  Entry& entry = entries_[find(source)];
  if (entry.count >= most) return false;
  if (entry.count == 0) {
    entry.source = source;
    ++used_;
  }
  ++entry.count;
  return true;
}

void SourceTable::remove(const Source& source) {
  if (source == kNone) return;
  const std::lock_guard lock(mutex_);
  ASSERT(!entries_.empty());
  const auto mask = static_cast<uint32_t>(entries_.size() - 1);
  uint32_t hole = find(source);
  ASSERT(entries_[hole].count != 0);
  if (--entries_[hole].count != 0) return;
  --used_;
  // What comes behind it and would be here moves up, so that no search ends early.
  for (uint32_t i = (hole + 1) & mask; entries_[i].count != 0; i = (i + 1) & mask) {
    if (((i - home(entries_[i].source)) & mask) < ((i - hole) & mask)) continue;
    entries_[hole] = entries_[i];
    entries_[i].count = 0;
    hole = i;
  }
}

uint32_t SourceTable::size() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

void SourceTable::grow() {
  std::vector<Entry> old(std::max<size_t>(16, entries_.size() * 2));
  old.swap(entries_);
  for (const Entry& entry : old) {
    if (entry.count != 0) entries_[find(entry.source)] = entry;
  }
}

}  // namespace ringway::shard
