//! strftime_now of chat templates: the time comes from the caller, already local; names are English, as in Python
//! without a locale.

use std::fmt::Write;

/// A moment: seconds since 1970 (UTC) and what the caller's clock on the wall adds to it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Moment {
    pub unix_time_s: i64,
    pub utc_offset_s: i64,
}

struct Fields {
    year: i64,
    month: usize, // 1..12
    day: i64,     // 1..31
    day_of_year: i64,
    weekday: usize, // 0 = Sunday
    hour: i64,
    minute: i64,
    second: i64,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn fields_of(local_s: i64) -> Fields {
    let days = local_s.div_euclid(86_400);
    let seconds = local_s.rem_euclid(86_400);
    // Days since 1970 -> civil date, counting from the 1st of March so that the leap day is a year's last (proleptic
    // Gregorian).
    let shifted = days + 719_468; // from 0000-03-01
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_from_march + 2) / 153;
    let day = day_from_march - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before: i64 =
        [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][..month as usize - 1].iter().sum();
    Fields {
        year,
        month: month as usize,
        day,
        day_of_year: before + day,
        weekday: (days + 4).rem_euclid(7) as usize, // 1970-01-01 was a Thursday
        hour: seconds / 3_600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
    }
}

/// Directives of C's strftime; "%-d" drops padding; what is not known stays as it is.
pub fn strftime(moment: &Moment, format: &str) -> String {
    let at = fields_of(moment.unix_time_s.saturating_add(moment.utc_offset_s));
    let mut out = String::new();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let unpadded = letters.next_if_eq(&'-').is_some();
        let Some(directive) = letters.next() else {
            out.push_str(if unpadded { "%-" } else { "%" });
            break;
        };
        write_directive(&mut out, directive, unpadded, &at, moment);
    }
    out
}

fn write_directive(out: &mut String, directive: char, unpadded: bool, at: &Fields, moment: &Moment) {
    let mut number = |value: i64, width: usize| {
        let _ = if unpadded { write!(out, "{value}") } else { write!(out, "{value:0width$}") };
    };
    let month = MONTHS[at.month - 1];
    let day = DAYS[at.weekday];
    let hour12 = (at.hour + 11) % 12 + 1;
    match directive {
        'Y' => number(at.year, 4),
        'y' => number(at.year.rem_euclid(100), 2),
        'm' => number(at.month as i64, 2),
        'd' => number(at.day, 2),
        'H' => number(at.hour, 2),
        'I' => number(hour12, 2),
        'M' => number(at.minute, 2),
        'S' => number(at.second, 2),
        'f' => number(0, 6),
        'j' => number(at.day_of_year, 3),
        'w' => number(at.weekday as i64, 1),
        'u' => number(if at.weekday == 0 { 7 } else { at.weekday as i64 }, 1),
        'U' => number((at.day_of_year + 6 - at.weekday as i64) / 7, 2),
        'W' => number((at.day_of_year + 6 - (at.weekday as i64 + 6) % 7) / 7, 2),
        's' => number(moment.unix_time_s, 1),
        'e' => {
            let _ = if unpadded { write!(out, "{}", at.day) } else { write!(out, "{:2}", at.day) };
        }
        'B' => out.push_str(month),
        'b' | 'h' => out.push_str(&month[..3]),
        'A' => out.push_str(day),
        'a' => out.push_str(&day[..3]),
        'p' => out.push_str(if at.hour < 12 { "AM" } else { "PM" }),
        'Z' | 'z' => {} // datetime.now() knows no zone
        'F' => out.push_str(&strftime(moment, "%Y-%m-%d")),
        'T' | 'X' => out.push_str(&strftime(moment, "%H:%M:%S")),
        'R' => out.push_str(&strftime(moment, "%H:%M")),
        'D' | 'x' => out.push_str(&strftime(moment, "%m/%d/%y")),
        'c' => out.push_str(&strftime(moment, "%a %b %e %H:%M:%S %Y")),
        'r' => out.push_str(&strftime(moment, "%I:%M:%S %p")),
        'n' => out.push('\n'),
        't' => out.push('\t'),
        '%' => out.push('%'),
        other => {
            out.push('%');
            if unpadded {
                out.push('-');
            }
            out.push(other);
        }
    }
}
