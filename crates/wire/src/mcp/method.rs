//! The closed list of methods.

macro_rules! methods {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name as written on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The one that is written like this. `None` is an unknown method: refused, never guessed at.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

methods! {
    /// Requests of a client.
    Method {
        /// Opens a session.
        Initialize = "initialize",
        /// Asks for a sign of life.
        Ping = "ping",
        /// Lists tools.
        ToolsList = "tools/list",
        /// Calls a tool.
        ToolsCall = "tools/call",
        /// Lists resources.
        ResourcesList = "resources/list",
        /// Lists templates of resource URIs.
        ResourceTemplatesList = "resources/templates/list",
        /// Reads a resource.
        ResourcesRead = "resources/read",
        /// Asks to be told when a resource changes.
        ResourcesSubscribe = "resources/subscribe",
        /// Ends a subscription.
        ResourcesUnsubscribe = "resources/unsubscribe",
        /// Lists prompts.
        PromptsList = "prompts/list",
        /// Renders a prompt.
        PromptsGet = "prompts/get",
        /// Completes an argument of a prompt or of a resource template.
        Complete = "completion/complete",
        /// Sets how much a server logs to its clients.
        LoggingSetLevel = "logging/setLevel",
        /// Asks how a task of the server stands.
        TasksGet = "tasks/get",
        /// Asks for the result of a task of the server (2025-11-25).
        TasksResult = "tasks/result",
        /// Lists tasks of the server (2025-11-25).
        TasksList = "tasks/list",
        /// Ends a task of the server.
        TasksCancel = "tasks/cancel",
        /// Answers what a task of the server asks (extension of 2026-07-28).
        TasksUpdate = "tasks/update",
        /// Asks what a server offers and speaks (2026-07-28).
        ServerDiscover = "server/discover",
        /// Listens to what the server says on its own (2026-07-28).
        SubscriptionsListen = "subscriptions/listen",
    }
}

methods! {
    /// Requests of a server; in 2026-07-28 they stand in a result that needs input.
    Ask {
        /// Asks for a sign of life.
        Ping = "ping",
        /// Asks the person behind the client.
        Elicit = "elicitation/create",
        /// Asks the client's model.
        Sample = "sampling/createMessage",
        /// Asks for the client's folders.
        RootsList = "roots/list",
    }
}

methods! {
    /// Notifications, in either direction.
    Notice {
        /// The client is ready (client to server).
        Initialized = "notifications/initialized",
        /// A request is no longer wanted.
        Cancelled = "notifications/cancelled",
        /// How far a request has come.
        Progress = "notifications/progress",
        /// The client's roots changed (client to server).
        RootsListChanged = "notifications/roots/list_changed",
        /// The server's tools changed (server to client).
        ToolsListChanged = "notifications/tools/list_changed",
        /// The server's resources changed (server to client).
        ResourcesListChanged = "notifications/resources/list_changed",
        /// A subscribed resource changed (server to client).
        ResourcesUpdated = "notifications/resources/updated",
        /// The server's prompts changed (server to client).
        PromptsListChanged = "notifications/prompts/list_changed",
        /// A line of the server's log (server to client).
        Message = "notifications/message",
        /// A task of the server stands differently (server to client, 2025-11-25).
        TasksStatus = "notifications/tasks/status",
        /// What was asked of a person elsewhere is done (server to client).
        ElicitationComplete = "notifications/elicitation/complete",
        /// A subscription stands (server to client, 2026-07-28).
        SubscriptionsAcknowledged = "notifications/subscriptions/acknowledged",
    }
}
