// LD_PRELOAD=avx2_only.so PROGRAM: the program sees a processor whose widest vectors are AVX2's, though this has more.
//
// The kernel lets the instruction CPUID fault in this process (arch_prctl(ARCH_SET_CPUID), Linux 4.12; /proc/cpuinfo
// must have the flag cpuid_fault); its handler runs the instruction and takes AVX-512, AVX-VNNI, AMX and AVX10 out of
// the answer. A program that asks XGETBV alone, or was compiled for more, is not stopped: build those for AVX2. The C
// library has chosen its memcpy before. install.sh --avx2 builds it; Linux on x86-64 only.

#include <asm/prctl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

namespace {

struct CpuidAnswer {
  std::uint32_t eax, ebx, ecx, edx;
};

constexpr std::uint32_t bits(std::initializer_list<int> positions) {
  std::uint32_t mask = 0;
  for (const int position : positions) mask |= std::uint32_t{1} << position;
  return mask;
}

// Intel's manual, volume 2A, CPUID: leaves 7 (features), 0xd (states that XSAVE knows), 0x1d and 0x1e (tiles).
void hide_what_is_wider(std::uint32_t leaf, std::uint32_t subleaf, CpuidAnswer& answer) {
  if (leaf == 7 && subleaf == 0) {
    answer.ebx &= ~bits({16, 17, 21, 26, 27, 28, 30, 31});
    answer.ecx &= ~bits({1, 6, 11, 12, 14});
    answer.edx &= ~bits({2, 3, 8, 22, 23, 24, 25});
  } else if (leaf == 7 && subleaf == 1) {
    answer.eax &= ~bits({4, 5, 21, 23});
    answer.edx &= ~bits({4, 5, 8, 10, 19});
  } else if (leaf == 0xd && subleaf == 0) {
    answer.eax &= ~bits({5, 6, 7, 17, 18});
  } else if (leaf == 0x1d || leaf == 0x1e) {
    answer = {};
  }
}

void let_cpuid_fault(bool faults) { syscall(SYS_arch_prctl, ARCH_SET_CPUID, faults ? 0 : 1); }

void answer_cpuid(int, siginfo_t*, void* context) {
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto* instruction = reinterpret_cast<const unsigned char*>(registers[REG_RIP]);
  if (instruction[0] != 0x0f || instruction[1] != 0xa2) {  // another fault: end as without us
    signal(SIGSEGV, SIG_DFL);
    return;
  }
  const auto leaf = static_cast<std::uint32_t>(registers[REG_RAX]);
  const auto subleaf = static_cast<std::uint32_t>(registers[REG_RCX]);
  CpuidAnswer answer{};
  let_cpuid_fault(false);
  asm volatile("cpuid"
               : "=a"(answer.eax), "=b"(answer.ebx), "=c"(answer.ecx), "=d"(answer.edx)
               : "a"(leaf), "c"(subleaf));
  let_cpuid_fault(true);
  hide_what_is_wider(leaf, subleaf, answer);
  registers[REG_RAX] = answer.eax;
  registers[REG_RBX] = answer.ebx;
  registers[REG_RCX] = answer.ecx;
  registers[REG_RDX] = answer.edx;
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) void begin() {
  struct sigaction action {};
  action.sa_sigaction = answer_cpuid;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
  if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0) {
    std::fputs("avx2_only: this processor or kernel has no CPUID faulting (no cpuid_fault in /proc/cpuinfo)\n", stderr);
    std::_Exit(1);
  }
}

}  // namespace
