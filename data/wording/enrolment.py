"""What is said while a second factor is set up, a password is chosen, and recovery codes are shown."""

from data.operations.signin.attempts import NotACode
from data.operations.signin.enrolment import EnrolmentCodeWrong, PendingDestination
from data.operations.signin.inbound_sms import Sighting
from data.rules.domain_types import Method
from data.rules.passwords import MIN_LENGTH
from data.rules.safe_text import safe

_REASON_LIMIT = 140

METHODS = {
    Method.APP: "Authenticator app: works offline; nothing is sent.",
    Method.SMS: "Text message: codes are sent to your phone number.",
    Method.EMAIL: "E-mail: codes are sent to the address on your profile.",
}
REPLACES = "Already set up; this replaces it."
YOU_NEED_AN_APP = (
    "You need an authenticator app on your phone, such as Google Authenticator, Microsoft Authenticator or "
    "Twilio Authy."
)
OLD_PHONE_WORKS = "Your current phone works until you confirm the new one."
YOUR_NUMBER = "Codes are sent to this number by text message. Include the country code."
A_NUMBER = "+49 170 1234567"
"""A phone number as an example."""
TYPE_KEY = "Type this key into your app:"
CHOOSE_WAY = "Choose how to verify your phone number."
TYPE_NUMBER = "Type the number, then enter the code that is sent to it."
SEND_THIS_CODE = "Send this code as a text message from your phone."
SENDER_IS_ADDED = "The number you send it from is added to your profile and receives your codes."
SHARED_NUMBER = "Another user has this number too. Use a separate one if you can."
WRONG_SENT_CODE = "Wrong code, or older than 15 minutes."
KEEP_RECOVERY_CODES = (
    "Each code signs you in once without your phone. Keep them apart from it; they are not shown again."
)
SAVE_RECOVERY_CODES = "Save your recovery codes"
NEW_RECOVERY_CODES = "New recovery codes"
REPLACES_UNSAVED_CODES = "You did not confirm that you saved the previous codes. These replace them."
REPLACE_ONE_TIME_PASSWORD = (
    "You signed in with a one-time password. Replace it with one that only you know: at least "
    f"{MIN_LENGTH} characters, such as several words."
)
PASSWORDS_DIFFER = "The passwords do not match. Repeat the password."


def because(reason: str) -> str:
    """Say why two-factor authentication is set up."""
    return f"Two-factor authentication is {safe(reason, _REASON_LIMIT)}."


def how_to_get_codes(reason: str) -> str:
    """Ask for the method."""
    return f"{because(reason)} How do you want to get codes?"


def send_to(number: str) -> str:
    """Offer to send a text message instead of typing one's number."""
    return f"Or send a text message from your phone to {number}."


def enter_sent_code(pending: PendingDestination) -> str:
    """Ask for the code that was sent to what is being set up."""
    return f"Enter the code sent by {pending.method.label} to {pending.masked}."


def not_a_code(unread: NotACode) -> str:
    """Say what to type instead of an answer that is no code."""
    return f"{unread.message} Enter the six digits."


def wrong_code(result: EnrolmentCodeWrong) -> str:
    """Say what to do after a wrong code from an app that is being set up."""
    offset = result.clock_offset_seconds
    if offset is None:
        return "Wrong code. Wait for the next one and enter it."
    way = "ahead" if offset > 0 else "behind"
    return f"Your phone's clock is about {abs(offset)} s {way}. Set it to automatic and try again."


def sighting(found: Sighting, new: str) -> str:
    """Say what has become of an awaited message; `new` says how to get a new code. Empty for nothing."""
    match found:
        case Sighting.SENDER_REFUSED:
            return (
                "A message with this code came without a phone number. Send it from a phone that shows its "
                "number."
            )
        case Sighting.TOO_LATE:
            return f"This code has expired. {new}"
        case _:
            return ""


def next_code_in(seconds: int) -> str:
    """Say when a code of a new app signs its user in."""
    if seconds > 0:
        return f"Wait {seconds} s for a new code before signing in again."
    return "You can sign in again with the code that the phone shows now."
