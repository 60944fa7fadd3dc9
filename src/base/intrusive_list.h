// A doubly linked list whose links live in the elements: no allocation, removal in constant time. The list does not own
// its elements; an element must be unlinked before it dies. One thread.
#pragma once

#include "base/assert.h"

namespace ringway::base {

struct ListLink {
  ListLink* next = nullptr;
  ListLink* previous = nullptr;

  bool is_linked() const noexcept { return next != nullptr; }

  void unlink() noexcept {
    ASSERT(is_linked());
    next->previous = previous;
    previous->next = next;
    next = previous = nullptr;
  }
};

// T must have `Tag` (a ListLink) as a public base, so that one object may be in several lists by distinct bases.
template <typename T, typename Tag = ListLink>
class IntrusiveList {
 public:
  IntrusiveList() noexcept { head_.next = head_.previous = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool is_empty() const noexcept { return head_.next == &head_; }

  T& front() noexcept {
    ASSERT(!is_empty());
    return *static_cast<T*>(static_cast<Tag*>(head_.next));
  }

  void push_back(T& element) noexcept {
    ListLink& link = static_cast<Tag&>(element);
    ASSERT(!link.is_linked());
    link.previous = head_.previous;
    link.next = &head_;
    head_.previous->next = &link;
    head_.previous = &link;
  }

  T& pop_front() noexcept {
    T& element = front();
    static_cast<Tag&>(element).unlink();
    return element;
  }

  // Calls `visit(T&)` for each element; the visited element may be unlinked by it, others may not.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (ListLink* link = head_.next; link != &head_;) {
      ListLink* next = link->next;
      visit(*static_cast<T*>(static_cast<Tag*>(link)));
      link = next;
    }
  }

 private:
  ListLink head_;
};

}  // namespace ringway::base
