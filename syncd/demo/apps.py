"""The demo organization's applications: names, client ids, scopes and how popular each is."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.demo.chance import draw, tag

_NAMES = (
    "Slack|Zoom|Notion|Google Chrome|Dropbox|Figma|Asana|Trello|Atlassian Jira|GitHub|Miro|Canva"
    "|Grammarly|HubSpot|Salesforce|Calendly|LastPass|1Password|Loom|Airtable|monday.com|ClickUp"
    "|DocuSign|Adobe Acrobat|Zapier|Mailchimp|Lucidchart|Evernote|Todoist|Microsoft Teams"
    "|Cisco Webex|Box|Zendesk|Intercom|Freshdesk|Gong|Outreach|Apollo.io|Mixmax|Boomerang"
    "|Superhuman|Spark Mail|Shortwave|Streak CRM|Copper|Pipedrive|Close|ZoomInfo|Clearbit|Hunter"
    "|Lusha|Yesware|Mailtrack|Otter.ai|Fireflies.ai|Read AI|tl;dv|Fathom|Krisp|Descript|ChatGPT"
    "|Claude|Perplexity|Jasper|Copy.ai|Writer|Cursor|Replit|Vercel|Netlify|Heroku|CircleCI"
    "|GitLab|Bitbucket|Sentry|Datadog|PagerDuty|New Relic|Postman|Linear|Shortcut|Height|Coda"
    "|Confluence|Guru|Slite|Tettra|Whimsical|Framer|Webflow|Wix|Squarespace|Typeform|SurveyMonkey"
    "|Jotform|Qualtrics|Doodle|Chili Piper|SavvyCal|Reclaim.ai|Clockwise|Motion|Toggl Track"
    "|Harvest|Clockify|Expensify|Ramp|Brex|QuickBooks|Xero|Stripe|Bill.com|Gusto|Rippling|BambooHR"
    "|Workday|Lattice|Culture Amp|15Five|Greenhouse|Lever|Ashby|LinkedIn|Indeed|Okta|Duo Security"
    "|Vanta|Drata|KnowBe4|Dashlane|Bitwarden|NordPass|Tableau|Looker|Metabase|Amplitude|Mixpanel"
    "|Segment|Fivetran|Hightouch|Snowflake|Supermetrics|Yet Another Mail Merge|AppSheet|DocHub"
    "|PandaDoc|Smallpdf|Kahoot!|Duolingo|Spotify|Pinterest|Strava|iOS Account Manager"
    "|Android Sync|Wunderbar Kalender|日程助手|Планировщик"
).split("|")

_API = "https://www.googleapis.com/auth/"
_SIGN_IN = ("openid", _API + "userinfo.email", _API + "userinfo.profile")
_HARMLESS = tuple(
    _API + name
    for name in (
        "calendar.readonly",
        "calendar.events.readonly",
        "contacts.readonly",
        "drive.file",
        "drive.appdata",
        "tasks.readonly",
        "user.birthday.read",
        "forms.responses.readonly",
        "directory.readonly",
        "youtube.readonly",
    )
)
_MIDDLING = tuple(
    _API + name
    for name in (
        "calendar",
        "calendar.events",
        "contacts",
        "spreadsheets",
        "documents",
        "presentations",
        "drive.readonly",
        "gmail.metadata",
        "gmail.send",
        "admin.directory.user.readonly",
        "meetings.space.readonly",
    )
)
_RISKY = (
    "https://mail.google.com/",
    *(
        _API + name
        for name in (
            "drive",
            "gmail.modify",
            "gmail.readonly",
            "admin.directory.user",
            "admin.directory.group",
            "cloud-platform",
            "script.projects",
            "gmail.settings.sharing",
        )
    ),
)
_NEW_NAMES = ("{}", "{} for Google Workspace", "{} (new)", "{} Cloud", "{} Connect")
_WHEEL = 8192


@dataclass(frozen=True, slots=True)
class App:
    """One application as the directory's tokens show it."""

    client_id: str
    base_name: str
    scopes: tuple[str, ...]
    narrow: tuple[str, ...]
    """What a user grants who leaves out the last scope."""
    wide: tuple[str, ...]
    """`scopes` and one risky scope more."""
    native: bool
    anonymous: bool


class Catalogue:
    """All applications of one directory, the most popular one first."""

    __slots__ = ("apps", "wheel")

    def __init__(self, seed: int) -> None:
        """Build the applications and the wheel they are drawn from."""
        self.apps = tuple(_app(seed, index, name) for index, name in enumerate(_NAMES))
        self.wheel = _wheel(len(self.apps))

    def __len__(self) -> int:
        """Return the number of applications."""
        return len(self.apps)

    def name(self, index: int, epoch: int) -> str:
        """Return the display name of application `index` at `epoch`; one changes per step."""
        times = (epoch - index - 1) // len(self.apps) + 1
        return _NEW_NAMES[times % len(_NEW_NAMES)].format(self.apps[index].base_name)


def _app(seed: int, index: int, name: str) -> App:
    chance = draw(seed, 70, index)
    wanted: list[str] = list(_SIGN_IN[: 1 + chance[0] % 3])
    wanted += _pick(_HARMLESS, chance[1:4], 1 + chance[4] % 3)
    wanted += _pick(_MIDDLING, chance[5:8], chance[8] % 4)
    if chance[9] % 100 < 35:
        wanted += _pick(_RISKY, chance[10:12], 1 + chance[12] % 2)
    scopes = tuple(dict.fromkeys(wanted))
    more = next(s for s in (*_RISKY[chance[13] % 4 :], *_RISKY) if s not in scopes)
    anonymous = chance[14] % 60 == 0
    number = 100_000_000_000 + (chance[15] * 211 + index) % 899_999_999_999
    client_id = f"{number}-{tag(seed, 71, index)}.apps.googleusercontent.com"
    return App(
        client_id=client_id,
        base_name=name,
        scopes=scopes,
        narrow=scopes[:-1] if len(scopes) > 2 else scopes,
        wide=(*scopes, more),
        native="Android" in name or "iOS" in name or chance[14] % 25 == 1,
        anonymous=anonymous,
    )


def _pick(table: tuple[str, ...], chance: tuple[int, ...], count: int) -> list[str]:
    return [table[number % len(table)] for number in chance[:count]]


def _wheel(count: int) -> tuple[int, ...]:
    """Return a table in which application i takes a share of about 1/(i+3)."""
    weights = [1 / (index + 3) for index in range(count)]
    scale = _WHEEL / sum(weights)
    wheel: list[int] = []
    total = 0.0
    for index, weight in enumerate(weights):
        total += weight * scale
        wheel.extend([index] * (max(len(wheel) + 1, round(total)) - len(wheel)))
    return tuple(wheel)
