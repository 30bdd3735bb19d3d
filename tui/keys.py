"""The map of keys: every act of the app, and the one key that does it on all screens.

Screens, dialogs and widgets take their bindings from here, so that an act has the same key wherever it
is offered. To add an act, add a line here and one to the manual's page `keys`.

May import: nothing else of Twofold.
"""

from enum import Enum

from textual.binding import Binding


class Act(Enum):
    """What a key does: Textual's name of the key, how the key is shown, and what the act is called.

    An act may be called differently on several screens, but it means the same on all of them.
    Only two letters have two meanings, and no screen has both: `n` also answers a question, where nothing
    can be created, and `q` also shows the QR code in the wizard, where there is no sign-out.
    """

    HELP = "question_mark", "?", "Help", "Manual"
    COMMANDS = "ctrl+p", "Ctrl+P", "Commands"
    SIGN_OUT = "q", "q", "Sign out"
    QUIT = "ctrl+q", "Ctrl+Q", "Quit"

    OVERVIEW = "0", "0", "Overview"
    PROFILE = "1", "1", "My profile"
    USERS = "2", "2", "Users"
    SECURITY = "3", "3", "Security"
    ACTIVITY = "4", "4", "Activity"
    PRACTICES = "5", "5", "Practices"
    SESSIONS = "6", "6", "Sessions"
    APPLICATIONS = "7", "7", "Applications"
    TARGETS = "8", "8", "Targets"

    OPEN = "enter", "Enter", "Open", "Apply", "Continue", "Close"
    BACK = "escape", "Esc", "Back", "Leave", "Cancel", "All", "Undo"
    YES = "y", "y", "Yes", "Saved"
    NO = "n", "n", "No"
    CHECK = "ctrl+s", "Ctrl+S", "Check", "Show"
    COPY = "c", "c", "Copy", "Copy the key"

    SEARCH = "slash", "/", "Search", "User", "Topics"
    FILTER = "f", "f", "Filter"
    SORT = "s", "s", "Sort"
    NEW = "n", "n", "New", "New code"
    IMPORT = "i", "i", "Import"
    MARK = "space", "Space", "Mark"
    MARK_ALL = "asterisk", "*", "Mark all"
    EDIT = "e", "e", "Edit", "Rename", "Days"
    REMOVE = "x", "x", "Remove", "Remove SSH key"
    NEXT_PAGE = "right_square_bracket", "]", "Next page", "Older"
    PREVIOUS_PAGE = "left_square_bracket", "[", "Previous page", "Newer"
    UP = "up", "↑", "Row up", "Previous choice"
    DOWN = "down", "↓", "Row down", "Next choice"
    SCREEN_UP = "pageup", "PgUp", "Screen up"
    SCREEN_DOWN = "pagedown", "PgDn", "Screen down"
    FIRST_ROW = "home,ctrl+home", "Home", "First row"
    LAST_ROW = "end,ctrl+end", "End", "Last row"

    REQUIRE = "r", "r", "Require", "Stop requiring", "Deadline"
    DISABLE = "d", "d", "Disable", "Turn off 2FA"
    CLEAR = "l", "l", "Clear"
    UNLOCK = "u", "u", "Unlock"
    PASSWORD = "p", "p", "Password", "One-time password", "New token"
    INVITE = "v", "v", "Invite"
    REMIND = "z", "z", "Remind"
    ACTIVATE = "a", "a", "Activate", "Deactivate", "Enable"
    MOVE = "m", "m", "Move"
    ROLES = "o", "o", "Roles"
    PRINCIPALS = "equals_sign", "=", "Principals"
    ADD_KEY = "k", "k", "Add SSH key"
    FORGET = "g", "g", "Forget addresses"
    RESYNC = "j", "j", "Resync"
    EXPLAIN = "w", "w", "Can sign in?"

    SET_UP = "t", "t", "Set up 2FA", "Replace the phone", "Methods"
    RECOVERY_CODES = "b", "b", "Recovery codes", "Temporary code"
    CERTIFICATES = "plus", "+", "Certificates"
    END_SESSION = "h", "h", "End", "End sessions"
    THEME = "comma", ",", "Theme"
    PLAIN_MODE = "full_stop", ".", "Plain mode"
    ATTENTION = "exclamation_mark", "!", "Attention"
    TEST = "at", "@", "Test"
    QR_CODE = "q", "q", "QR code"

    def __init__(self, key: str, shown: str, *labels: str) -> None:
        self.key = key
        self.shown = shown
        self.labels = labels

    def binding(
        self,
        action: str = "",
        label: str = "",
        tooltip: str = "",
        *,
        also: str = "",
        show: bool = True,
        priority: bool = False,
    ) -> Binding:
        """Return the binding of this act; by default the action has the act's own name.

        `label` is one of the act's labels, by default the first; `also` is another key that does it there.
        The last line leaves out what it does not `show`, and the help lists it all the same.

        Raises:
            ValueError: when the map does not have the label.
        """
        words = label or self.labels[0]
        if words not in self.labels:
            raise ValueError(f"{self.name} is not called {words!r}")
        return Binding(
            f"{self.key},{also}".rstrip(","),
            action or self.name.lower(),
            words,
            show=show,
            key_display=self.shown,
            priority=priority,
            tooltip=tooltip,
            id=self.name,
        )
